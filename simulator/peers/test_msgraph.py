"""Microsoft's SDK for Graph, signed in by Microsoft's own credential: lists, follows the feed, downloads."""

import asyncio

import azure.identity
import msgraph
from msgraph.generated.drives.item.items.item.delta.delta_request_builder import DeltaRequestBuilder

import m365


class Msgraph(m365.PeerTest):
    flags = ("--files", "450", "--folders", "40")

    def setUp(self):
        super().setUp()
        credential = azure.identity.DeviceCodeCredential(
            client_id=m365.PUBLIC_CLIENT, tenant_id=m365.TENANT, prompt_callback=self.approve
        )
        self.graph = msgraph.GraphServiceClient(credential, ["Files.Read.All"])
        self.items = {}

    def approve(self, _address, user_code, _expires):
        self.sim.ask("POST", "/device-codes/approve", {"user_code": user_code, "user": m365.USER})

    def root(self):
        return self.graph.drives.by_drive_id(self.sim.drive).items.by_drive_item_id("root")

    async def pages(self, builder):
        """All pages from a builder on; returns the items and the last page."""
        page = await builder.get()
        items = list(page.value)
        while page.odata_next_link:
            page = await builder.with_url(page.odata_next_link).get()
            items += page.value
        return items, page

    def apply(self, items):
        """The last occurrence of an item wins; a tombstone removes it."""
        for item in items:
            if item.deleted:
                self.items.pop(item.id, None)
            else:
                self.items[item.id] = item

    def path(self, item):
        return "" if item.root else f"{self.path(self.items[item.parent_reference.id])}/{item.name}"

    def assert_followed(self):
        known = {self.path(item)[1:]: item for item in self.items.values() if not item.root}
        entries = self.sim.entries()
        self.assertEqual(sorted(known), sorted(entries))
        for name, entry in entries.items():
            item = known[name]
            self.assertEqual((item.id, item.file is not None), (entry["id"], entry["kind"] == "file"), name)
            if item.file:
                hashes = item.file.hashes
                hashed = hashes.quick_xor_hash if hashes else None
                self.assertEqual((item.size, hashed), (entry["size"], entry["quick_xor"]), name)

    def test_list_follow_download(self):
        asyncio.run(self.list_follow_download())

    async def list_follow_download(self):
        drive = await self.graph.me.drive.get()
        self.assertEqual((drive.id, drive.drive_type), (self.sim.drive, "business"))
        children, _ = await self.pages(self.root().children)
        tops = [name for name in self.sim.entries() if "/" not in name]
        self.assertEqual(sorted(child.name for child in children), sorted(tops))

        items, last = await self.pages(self.root().delta)
        self.apply(items)
        self.assert_followed()
        for seed in range(3):
            self.sim.change(random=(seed, 80))
            items, last = await self.pages(self.root().delta.with_url(last.odata_delta_link))
            self.apply(items)
            self.assert_followed()

        entries = self.sim.entries()
        for entry in [entry for entry in entries.values() if entry["kind"] == "file"][:20]:
            content = await self.item(entry["id"]).content.get()
            found = (len(content or b""), m365.quick_xor(content or b""))
            self.assertEqual(found, (entry["size"], entry["quick_xor"] or m365.quick_xor(b"")), entry["path"])

    def item(self, item_id):
        return self.graph.drives.by_drive_id(self.sim.drive).items.by_drive_item_id(item_id)
