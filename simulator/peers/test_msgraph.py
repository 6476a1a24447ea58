"""Microsoft's SDK for Graph, signed in by Microsoft's own credential: lists, follows the feed, downloads, uploads, batches."""

import asyncio

import azure.identity
import msgraph
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.drive_item import DriveItem
from msgraph.generated.models.folder import Folder
from msgraph.generated.models.item_reference import ItemReference
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

import m365


class Msgraph(m365.PeerTest):
    # The SDK takes 10 to 50 ms for each item it reads, so the drive is small, and so are the pages.
    flags = ("--files", "90", "--folders", "15")
    page_items = 40

    def setUp(self):
        super().setUp()
        credential = azure.identity.DeviceCodeCredential(
            client_id=m365.PUBLIC_CLIENT, tenant_id=m365.TENANT, prompt_callback=self.approve
        )
        self.graph = msgraph.GraphServiceClient(credential, ["Files.ReadWrite.All"])
        self.items = {}

    def approve(self, _address, user_code, _expires):
        self.sim.ask("POST", "/device-codes/approve", {"user_code": user_code, "user": m365.USER})

    def item(self, item_id):
        return self.graph.drives.by_drive_id(self.sim.drive).items.by_drive_item_id(item_id)

    def root(self):
        return self.item("root")

    async def pages(self, builder):
        """All pages from a builder on; returns the items and the last page."""
        parameters = next(kind for name, kind in vars(type(builder)).items() if name.endswith("GetQueryParameters"))
        page = await builder.get(RequestConfiguration(query_parameters=parameters(top=self.page_items)))
        items = list(page.value)
        while page.odata_next_link:
            page = await builder.with_url(page.odata_next_link).get()
            items += page.value
        return items, page

    async def follow(self, link=None):
        """Takes what the feed tells from a link on, or from the beginning; returns the next link. The last occurrence of an item
        wins; a tombstone removes it."""
        items, last = await self.pages(self.root().delta.with_url(link) if link else self.root().delta)
        for item in items:
            if item.deleted:
                self.items.pop(item.id, None)
            else:
                self.items[item.id] = item
        return last.odata_delta_link

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

        link = await self.follow()
        self.assert_followed()
        for seed in range(3):
            self.sim.change(random=(seed, 40))
            link = await self.follow(link)
            self.assert_followed()

        entries = self.sim.entries()
        for entry in [entry for entry in entries.values() if entry["kind"] == "file"][:20]:
            content = await self.item(entry["id"]).content.get()
            found = (len(content or b""), m365.quick_xor(content or b""))
            self.assertEqual(found, (entry["size"], entry["quick_xor"] or m365.quick_xor(b"")), entry["path"])

    def test_a_cursor_that_is_no_longer_honoured(self):
        asyncio.run(self.begin_again())

    async def begin_again(self):
        link = await self.follow()
        # The refusal names the place to begin again.
        self.sim.change(random=(1, 50))
        self.sim.ask("POST", f"/drives/{self.sim.drive}/expire-delta-links")
        with self.assertRaises(APIError) as refused:
            await self.follow(link)
        self.assertEqual((refused.exception.response_status_code, refused.exception.error.code), (410, "resyncRequired"))
        self.items = {}
        headers = {name.lower(): value for name, value in refused.exception.response_headers.items()}
        await self.follow(headers["location"])
        self.assert_followed()

    def test_write(self):
        asyncio.run(self.write())

    async def write(self):
        folder = await self.root().children.post(DriveItem(name="a folder é # 100%", folder=Folder()))
        files = [entry["id"] for entry in self.sim.entries().values() if entry["kind"] == "file"]
        small, other = files[0], files[1]
        content = b"small" * 100
        await self.item(small).content.put(content)
        entry = next(entry for entry in self.sim.entries().values() if entry["id"] == small)
        self.assertEqual((entry["size"], entry["quick_xor"]), (len(content), m365.quick_xor(content)))
        await self.item(small).patch(DriveItem(name="moved.txt", parent_reference=ItemReference(id=folder.id)))
        self.assertEqual(self.sim.entries()[f"{folder.name}/moved.txt"]["id"], small)
        await self.item(other).delete()
        self.assertNotIn(other, [entry["id"] for entry in self.sim.entries().values()])
        await self.follow()
        self.assert_followed()

    def test_several_requests_in_one(self):
        asyncio.run(self.several_requests_in_one())

    async def several_requests_in_one(self):
        batch = BatchRequestContent()

        def add(name, builder):
            batch.add_request(name, BatchRequestItem(builder.to_get_request_information(), name))

        add("drive", self.graph.drives.by_drive_id(self.sim.drive))
        ids = [entry["id"] for entry in self.sim.entries().values()][:10]
        for item_id in ids:
            add(item_id, self.item(item_id))
        add("nothing", self.item("nothing"))
        answers = await BatchRequestBuilder(self.graph.request_adapter).post(batch)
        # The states only: this version of the SDK cannot turn the bodies into its own types.
        expected = {name: 200 for name in ["drive", *ids]} | {"nothing": 404}
        self.assertEqual(answers.get_response_status_codes(), expected)
