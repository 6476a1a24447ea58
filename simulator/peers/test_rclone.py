"""rclone, the one of the system and the newest: mirrors, compares hashes, follows changes, uploads, survives failures."""

import json
import os
import re
import subprocess

import m365

SCOPES = "Files.ReadWrite.All offline_access"
# Names that differ only in how they compose a letter are two names to the service.
FLAGS = ("--no-unicode-normalization",)
# Before this one rclone sent its bearer token to links that need none.
CAREFUL = (1, 67)
# rclone sends a request that was throttled again at once, and counts the seconds of `Retry-After` from when it sent that one, not
# from the answer. How much too early it comes, and whether the simulator holds it against it, is a matter of timing.
THROTTLED = "retry_after_ignored"
# One file after the other, so that each fault strikes the same request every time: the newest rclone sends small files in sessions too.
IN_ORDER = ("--transfers", "1")


class Tests:
    """What every version has to do. The defaults of the simulator, unless the version is older than CAREFUL."""

    program = ""

    @classmethod
    def setUpClass(cls):
        said = subprocess.run([cls.program, "version"], capture_output=True, check=True, timeout=m365.ANSWER_LIMIT).stdout
        major, minor = re.search(rb"rclone v(\d+)\.(\d+)", said).groups()
        cls.careful = (int(major), int(minor)) >= CAREFUL
        # Served, as by the service when these versions were written; the service of today refuses it.
        cls.switches = {} if cls.careful else {"bearer_on_links": "served"}

    def setUp(self):
        super().setUp()
        self.local = self.folder / "mirror"
        self.config = self.folder / "rclone.conf"
        # What `rclone config` writes after a sign-in in a browser; the access token is old, so rclone begins with a renewal.
        self.configure(
            m365.CONFIDENTIAL_CLIENT,
            m365.CONFIDENTIAL_SECRET,
            {
                "access_token": "old",
                "token_type": "Bearer",
                "refresh_token": self.sim.refresh_token(m365.CONFIDENTIAL_CLIENT, SCOPES),
                "expiry": "2020-01-01T00:00:00Z",
            },
        )

    def configure(self, client, secret, token):
        lines = ["[sim]", "type = onedrive", "region = global", f"client_id = {client}", f"client_secret = {secret}"]
        lines += [f"drive_id = {self.sim.drive}", "drive_type = business", f"token = {json.dumps(token)}"]
        self.config.write_text("\n".join(lines) + "\n")

    def expect_bearer(self, *kinds):
        if not self.careful:
            self.expected_violations |= set(kinds)

    def rclone(self, *arguments):
        return self.run_program(self.program, "--config", self.config, "--retries", "1", *FLAGS, *arguments)

    def test_mirror_and_follow(self):
        self.expect_bearer("bearer_on_download_link")
        self.rclone("sync", "--create-empty-src-dirs", "sim:", self.local)
        self.rclone("check", "sim:", self.local)
        self.assert_mirrored(self.local)
        for seed in range(3):
            self.sim.change(random=(seed, 60))
            # Deleting first makes room where a file became a folder.
            self.rclone("sync", "--checksum", "--delete-before", "--create-empty-src-dirs", "sim:", self.local)
            self.rclone("check", "sim:", self.local)
            self.assert_mirrored(self.local)

    def test_mirror_while_requests_fail(self):
        self.expect_bearer("bearer_on_download_link")
        self.possible_violations.add(THROTTLED)
        faults = [
            self.sim.fault("status", status=429, on="children", skip=3, times=2, retry_after={"seconds": 1}),
            self.sim.fault("status", status=503, on="children", skip=6, times=2, body="html"),
            self.sim.fault("status", status=503, on="download", times=3),
            self.sim.fault("conn_reset", on="download", skip=5, times=3),
            self.sim.fault("truncated_body", skip=10, times=3),
        ]
        self.rclone("sync", "--create-empty-src-dirs", "sim:", self.local)
        self.assert_mirrored(self.local)
        self.assert_struck(*faults)

    def test_upload_change_and_delete(self):
        self.expect_bearer("bearer_on_upload_url")
        sent = self.folder / "sent"
        (sent / "a folder" / "below é").mkdir(parents=True)
        (sent / "empty").write_bytes(b"")
        (sent / "a folder" / "small # 100%.txt").write_bytes(b"small" * 100)
        (sent / "a folder" / "🎉 e\u0301te\u0301.txt").write_bytes(b"decomposed")
        (sent / "a folder" / "🎉 \u00e9t\u00e9.txt").write_bytes(b"composed")
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

    def test_upload_while_requests_fail(self):
        # The careful versions, too, send the token along when they ask a session how far it is.
        self.expected_violations.add("bearer_on_upload_url")
        self.possible_violations.add(THROTTLED)
        sent = self.folder / "sent"
        sent.mkdir()
        for number in range(10):
            (sent / f"small {number}").write_bytes(b"small" * number * 100)
        (sent / "large.bin").write_bytes(bytes(range(251)) * 200_000)
        faults = [
            self.sim.fault("status", status=429, on="upload", skip=2, times=1, retry_after={"seconds": 1}),
            self.sim.fault("status", status=503, on="fragment", skip=1, times=1),
            # The chunk arrived, and the answer was lost: the session has to be asked how far it is.
            self.sim.fault("conn_reset", moment="after", on="fragment", skip=3, times=1),
        ]
        # As often as it tries when nobody tells it otherwise: it gives up a file when the answer to the last chunk is lost.
        self.rclone("sync", *IN_ORDER, "--retries", "3", sent, "sim:")
        self.rclone("check", sent, "sim:")
        self.assert_mirrored(sent)
        self.assert_struck(*faults)

    def test_one_file_read_in_part(self):
        self.expect_bearer("bearer_on_download_link")
        name, entry = max(self.sim.entries().items(), key=lambda item: item[1]["size"] * (item[1]["kind"] == "file"))
        self.rclone("copy", f"sim:{name}", self.local)
        whole = (self.local / name.rsplit("/", 1)[-1]).read_bytes()
        self.assertEqual(len(whole), entry["size"])
        part = self.rclone("cat", "--offset", "1000", "--count", "5000", f"sim:{name}")
        self.assertEqual(part, whole[1_000:6_000])


class SystemRclone(Tests, m365.PeerTest):
    """The one in PATH; Debian 12 has 1.60."""

    program = "rclone"

    def test_a_token_sent_along_is_refused_by_a_link_of_today(self):
        if self.careful:
            self.skipTest("the rclone of this system sends no token along")
        self.sim.ask("PUT", "/switches", {})
        self.expect_bearer("bearer_on_download_link")
        name = max(self.sim.entries().items(), key=lambda item: item[1]["size"] * (item[1]["kind"] == "file"))[0]
        command = [self.program, "--config", self.config, "--retries", "1", "--low-level-retries", "1", "copy"]
        done = self.try_program(*command, f"sim:{name}", self.local)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"The link is expired or not valid", done.stderr)
        self.assertFalse(self.local.exists() and list(self.local.iterdir()))


class NewestRclone(Tests, m365.PeerTest):
    """The one of requirements.txt; it needs nothing but the defaults."""

    program = os.environ["M365_RCLONE"]

    def test_is_new(self):
        self.assertTrue(self.careful)

    def test_a_listing_from_the_feed(self):
        self.rclone("sync", "--fast-list", "--onedrive-delta", "--create-empty-src-dirs", "sim:", self.local)
        self.assertGreater(self.sim.requests("delta"), 0)
        self.assert_mirrored(self.local)
