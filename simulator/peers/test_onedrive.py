"""The OneDrive client for Linux (abraunegg): signs in, mirrors a drive, follows its changes, uploads, begins again."""

import os

import m365

SCOPES = "Files.ReadWrite Files.ReadWrite.All Sites.ReadWrite.All offline_access"


class Onedrive(m365.PeerTest):
    # This client refuses names that Windows would refuse, so the drive holds plain ones; `add_odd_names` adds odd ones.
    flags = ("--files", "150", "--folders", "20", "--plain-names", "--big-file", "30000000")

    # Version 2.4 discards what is below the first level without the paths, and ignores deletions without the facets.
    switches = {"delta": {"parent_paths": "told", "tombstone_facets": "told"}}

    def setUp(self):
        super().setUp()
        self.local = self.folder / "mirror"
        self.local.mkdir()
        self.settings = self.folder / "settings"
        self.settings.mkdir()
        lines = [f'sync_dir = "{self.local}"', f'application_id = "{m365.PUBLIC_CLIENT}"']
        (self.settings / "config").write_text("\n".join(lines) + "\n")
        # What the client keeps after a sign-in in a browser.
        (self.settings / "refresh_token").write_text(self.sim.refresh_token(m365.PUBLIC_CLIENT, SCOPES))

    def command(self, *flags):
        return ("onedrive", "--confdir", self.settings, "--synchronize", "--verbose", *flags)

    def follow(self):
        self.run_program(*self.command("--download-only"))

    def sync(self):
        self.run_program(*self.command())

    def add_odd_names(self):
        self.sim.change(
            {"op": "mkdir", "parent": "/", "name": "Odd # 100% é 📁"},
            *(
                {"op": "create_file", "parent": "/Odd # 100% é 📁", "name": name, "size": 2_000}
                for name in (
                    "🎉 party 🦀.txt",
                    "re\u0301sume\u0301 decomposed.pdf",
                    "r\u00e9sum\u00e9 composed.pdf",
                    "issue #7 100% done.md",
                    "literal%20space.txt",
                    "日本語のファイル.txt",
                    "it's (a copy) & more; +=,.txt",
                    "two  spaces.csv",
                )
            ),
        )

    def test_mirror_and_follow(self):
        self.add_odd_names()
        self.follow()
        self.assert_mirrored(self.local)
        for turn in range(3):
            self.change_a_little(turn)
            self.follow()
            self.assert_mirrored(self.local)

    def test_a_cursor_that_is_no_longer_honoured(self):
        self.follow()
        self.sim.ask("POST", f"/drives/{self.sim.drive}/expire-delta-links")
        # It begins again, and then does not find out what was deleted meanwhile.
        edited = next(name for name, entry in self.sim.entries().items() if entry["kind"] == "file")
        self.sim.change(
            {"op": "edit", "item": f"/{edited}", "size": 4_321},
            {"op": "create_file", "parent": "/", "name": "new.txt", "size": 5_000},
        )
        self.follow()
        self.assert_mirrored(self.local)
        self.assertGreater(self.sim.ask("GET", "/counters")["statuses"].get("410", 0), 0)

    def test_requests_that_are_throttled(self):
        faults = [
            self.sim.fault("status", status=429, on="delta", times=1, retry_after={"seconds": 1}),
            self.sim.fault("status", status=429, on="content", skip=5, times=1, retry_after={"seconds": 1}),
        ]
        self.follow()
        # What it gave up it does the next time.
        self.follow()
        self.assert_mirrored(self.local)
        self.assert_struck(*faults)

    def test_upload(self):
        self.sync()
        (self.local / "new folder é").mkdir()
        (self.local / "new folder é" / "small # 100%.txt").write_bytes(b"small" * 100)
        # More than 4 MB go through an upload session.
        (self.local / "large.bin").write_bytes(bytes(range(251)) * 60_000)
        self.sync()
        self.assert_mirrored(self.local)
        changed = self.local / "new folder é" / "small # 100%.txt"
        changed.write_bytes(b"changed")
        # It believes whole seconds, and the mirror can be quicker than one.
        later = changed.stat().st_mtime + 10
        os.utime(changed, (later, later))
        (self.local / "large.bin").unlink()
        self.sync()
        self.assert_mirrored(self.local)

    def test_sign_in_in_a_browser(self):
        (self.settings / "refresh_token").unlink()
        self.sim.ask("PUT", "/switches", {**self.switches, "sign_in": {"auto": "approve"}})
        asked, answered = self.folder / "address", self.folder / "answer"
        client = self.start_program(*self.command("--download-only", "--auth-files", f"{asked}:{answered}"))
        self.wait_until(lambda: asked.exists() and asked.read_text().startswith("https://"), client)
        # It reads the answer as soon as there is a file, so the file comes with its content.
        whole = self.folder / "answer.new"
        whole.write_text(m365.browse(asked.read_text().strip()))
        whole.rename(answered)
        said, _ = client.communicate(timeout=m365.RUN_LIMIT)
        self.assertEqual(client.returncode, 0, said[-6_000:])
        self.assert_mirrored(self.local)

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
