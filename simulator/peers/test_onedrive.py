"""The OneDrive client for Linux (abraunegg): signs in, mirrors a drive, follows its changes, uploads."""

import os
import subprocess
import time

import m365

SCOPES = "Files.ReadWrite Files.ReadWrite.All Sites.ReadWrite.All offline_access"


class Onedrive(m365.PeerTest):
    # This client refuses names that Windows would refuse, so the drive holds plain ones.
    flags = ("--files", "150", "--folders", "20", "--plain-names", "--big-file", "30000000")

    # Version 2.4 discards what is below the first level without the paths, and deletions without the facets.
    switches = {"delta": {"parent_paths": "told", "tombstone_facets": "told"}}

    def setUp(self):
        super().setUp()
        self.local = self.folder / "mirror"
        self.local.mkdir()
        self.settings = self.folder / "settings"
        self.settings.mkdir()
        lines = [f'sync_dir = "{self.local}"', f'application_id = "{m365.PUBLIC_CLIENT}"']
        (self.settings / "config").write_text("\n".join(lines) + "\n")

    def follow(self):
        self.run_program("onedrive", "--confdir", self.settings, "--synchronize", "--download-only", "--verbose")

    def test_mirror_and_follow(self):
        # What the client keeps after a sign-in in a browser.
        (self.settings / "refresh_token").write_text(self.sim.refresh_token(m365.PUBLIC_CLIENT, SCOPES))
        self.follow()
        self.assert_mirrored(self.local)
        for turn in range(3):
            self.change_a_little(turn)
            self.follow()
            self.assert_mirrored(self.local)

    def test_upload(self):
        (self.settings / "refresh_token").write_text(self.sim.refresh_token(m365.PUBLIC_CLIENT, SCOPES))
        self.sync()
        (self.local / "new folder").mkdir()
        (self.local / "new folder" / "small.txt").write_bytes(b"small" * 100)
        # More than 4 MB go through an upload session.
        (self.local / "large.bin").write_bytes(bytes(range(251)) * 60_000)
        self.sync()
        self.assert_mirrored(self.local)

    def sync(self):
        self.run_program("onedrive", "--confdir", self.settings, "--synchronize", "--verbose")

    def test_sign_in_in_a_browser(self):
        self.sim.ask("PUT", "/switches", {**self.switches, "sign_in": {"auto": "approve"}})
        asked, answered = self.folder / "address", self.folder / "answer"
        files = f"{asked}:{answered}"
        command = ["onedrive", "--confdir", self.settings, "--synchronize", "--download-only", "--auth-files", files]
        home = {**os.environ, "HOME": str(self.folder)}
        client = subprocess.Popen(
            command, env=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            self.wait_for(lambda: asked.exists() and asked.read_text().startswith("https://"), client)
            # It reads the answer as soon as there is a file, so the file comes with its content.
            whole = self.folder / "answer.new"
            whole.write_text(m365.browse(asked.read_text().strip()))
            whole.rename(answered)
            said, _ = client.communicate(timeout=m365.RUN_LIMIT)
        finally:
            client.kill()
            client.communicate()
        self.assertEqual(client.returncode, 0, said.decode(errors="replace")[-6_000:])
        self.assert_mirrored(self.local)

    def wait_for(self, condition, client):
        limit = time.monotonic() + m365.ANSWER_LIMIT
        while not condition():
            self.assertIsNone(client.poll(), "it ended early")
            self.assertLess(time.monotonic(), limit, "it does not ask for a sign-in")
            time.sleep(0.02)

    def change_a_little(self, turn):
        """One change of each kind. Names that change owners, and folders that are renamed and then deleted, are more than this version
        can follow: of the latter it looks for the old name."""
        entries = self.sim.entries()
        files = [path for path, entry in entries.items() if entry["kind"] == "file"]
        edited, renamed, moved, deleted = ("/" + path for path in files[turn * 10 : turn * 10 + 4])
        # Folders at the bottom, so that no change touches what another one needs.
        folders = [path for path, entry in entries.items() if entry["kind"] == "folder"]
        bottom = [path for path in folders if not any(other.startswith(path + "/") for other in folders)]
        used = {path.rsplit("/", 2)[-2] for path in (edited, renamed, moved, deleted)}
        names = {path: path.rsplit("/", 1)[-1] for path in bottom}
        unused = [f"/{path}" for path, name in names.items() if name.startswith("folder-") and name not in used]
        gone, other = unused[0], unused[1]
        self.sim.change(
            {"op": "edit", "item": edited, "size": 4_321},
            {"op": "rename", "item": renamed, "name": f"renamed {turn}.txt"},
            {"op": "move", "item": moved, "parent": "/"},
            {"op": "delete", "item": deleted},
            {"op": "delete", "item": gone},
            {"op": "rename", "item": other, "name": f"other {turn}"},
            {"op": "mkdir", "parent": "/", "name": f"new {turn}"},
            {"op": "create_file", "parent": f"/new {turn}", "name": "with # and % and é.txt", "size": 9_999},
        )
