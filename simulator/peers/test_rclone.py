"""rclone: mirrors a drive, compares hashes, follows changes, uploads."""

import json

import m365

SCOPES = "Files.ReadWrite.All offline_access"
# Names that differ only in how they compose a letter are two names to the service.
FLAGS = ("--no-unicode-normalization",)


class Rclone(m365.PeerTest):
    # Up to 1.67 rclone sent its bearer token to links that need none, and the service served them.
    switches = {"bearer_on_links": "served"}
    known_violations = frozenset({"bearer_on_download_link", "bearer_on_upload_url"})

    def setUp(self):
        super().setUp()
        self.local = self.folder / "mirror"
        # What `rclone config` writes after a sign-in in a browser; the access token is old, so rclone begins with a renewal.
        token = {
            "access_token": "old",
            "token_type": "Bearer",
            "refresh_token": self.sim.refresh_token(m365.CONFIDENTIAL_CLIENT, SCOPES),
            "expiry": "2020-01-01T00:00:00Z",
        }
        lines = ["[sim]", "type = onedrive", "region = global", f"client_id = {m365.CONFIDENTIAL_CLIENT}"]
        lines += [f"client_secret = {m365.CONFIDENTIAL_SECRET}"]
        lines += [f"drive_id = {self.sim.drive}", "drive_type = business", f"token = {json.dumps(token)}"]
        self.config = self.folder / "rclone.conf"
        self.config.write_text("\n".join(lines) + "\n")

    def rclone(self, *arguments):
        return self.run_program("rclone", "--config", self.config, "--retries", "1", *FLAGS, *arguments)

    def test_mirror_and_follow(self):
        self.rclone("sync", "--create-empty-src-dirs", "sim:", self.local)
        self.rclone("check", "sim:", self.local)
        self.assert_mirrored(self.local)
        for seed in range(3):
            self.sim.change(random=(seed, 60))
            # Deleting first makes room where a file became a folder.
            self.rclone("sync", "--checksum", "--delete-before", "--create-empty-src-dirs", "sim:", self.local)
            self.rclone("check", "sim:", self.local)
            self.assert_mirrored(self.local)

    def test_upload_change_and_delete(self):
        sent = self.folder / "sent"
        (sent / "a folder" / "below é").mkdir(parents=True)
        (sent / "empty").write_bytes(b"")
        (sent / "a folder" / "small # 100%.txt").write_bytes(b"small" * 100)
        # More than one chunk of an upload session, which is of 10 MiB.
        (sent / "a folder" / "below é" / "large.bin").write_bytes(bytes(range(251)) * 100_000)
        self.rclone("sync", "--create-empty-src-dirs", sent, "sim:")
        self.rclone("check", sent, "sim:")
        self.assert_mirrored(sent)
        (sent / "a folder" / "small # 100%.txt").write_bytes(b"changed")
        (sent / "empty").rename(sent / "renamed")
        (sent / "a folder" / "below é" / "large.bin").unlink()
        self.rclone("sync", "--checksum", "--track-renames", "--create-empty-src-dirs", sent, "sim:")
        self.rclone("check", sent, "sim:")
        self.assert_mirrored(sent)
        self.rclone("moveto", "sim:a folder/small # 100%.txt", "sim:moved.txt")
        self.rclone("copyto", "sim:moved.txt", "sim:a folder/copied.txt")
        (sent / "a folder" / "small # 100%.txt").rename(sent / "moved.txt")
        (sent / "a folder" / "copied.txt").write_bytes(b"changed")
        self.assert_mirrored(sent)

    def test_one_file_read_in_part(self):
        name, entry = max(self.sim.entries().items(), key=lambda item: item[1]["size"])
        self.rclone("sync", "sim:", self.local)
        whole = (self.local / name).read_bytes()
        part = self.rclone("cat", "--offset", "1000", "--count", "5000", f"sim:{name}")
        self.assertEqual(part, whole[1_000:6_000])
