"""What the tests with foreign clients stand on: a simulator under Microsoft's names, its control interface, and a judge.

scripts/peers prepares the namespaces these run in: the names lead to AUTHORITY and GRAPH, and every bundle of trusted certificates
is AUTHORITY_FILE.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

AUTHORITY = "127.0.0.2:443"
GRAPH = "127.0.0.3:443"
# Given by scripts/peers: the program, and the file that stands in for all bundles of certificates.
PROGRAM = os.environ["M365_SIM"]
AUTHORITY_FILE = os.path.join(os.environ["M365_FOLDER"], "authority.pem")

TENANT = "6f0f5d0c-51f1-4c7a-9d7e-5a0c10c0ffee"
PUBLIC_CLIENT = "b0a7c0de-0000-4000-8000-000000000001"
CONFIDENTIAL_CLIENT = "b0a7c0de-0000-4000-8000-000000000002"
CONFIDENTIAL_SECRET = "sim-secret-of-the-confidential-client"
USER = "adele@contoso.example"

# Longest one answer may take, and one run of a foreign program, in seconds.
ANSWER_LIMIT = 30
RUN_LIMIT = 120
# Lines the simulator prints when it is ready.
READY_LINES = 6


class Simulator:
    """A running simulator with one drive."""

    def __init__(self, *flags):
        self.process = subprocess.Popen(
            [PROGRAM, "--listen-authority", AUTHORITY, "--listen-graph", GRAPH]
            + ["--authority-url", "https://login.microsoftonline.com", "--graph-url", "https://graph.microsoft.com"]
            + ["--content-url", "https://contoso-my.sharepoint.com", "--tls-authority-out", AUTHORITY_FILE]
            + list(flags),
            # What it thinks of a client is asked for at the end of each test; here only what stops it is wanted.
            env={"RUST_LOG": "error", **os.environ},
            stdout=subprocess.PIPE,
            text=True,
        )
        said = dict(self.process.stdout.readline().split() or ("", "") for _ in range(READY_LINES))
        if "tenant" not in said:
            raise RuntimeError(f"m365-sim did not start: exit code {self.process.wait(ANSWER_LIMIT)}")
        self.control, self.drive = said["control"], said["drive"]

    def stop(self):
        self.process.terminate()
        self.process.stdout.close()
        return self.process.wait(ANSWER_LIMIT)

    def ask(self, method, path, body=None):
        """One request to the control interface; the JSON it answers with."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + "/control" + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT) as answer:
            return json.load(answer)

    def entries(self):
        """Everything in the drive by its path: `{"id", "kind", "size", "quick_xor", …}`."""
        path = f"/drives/{urllib.parse.quote(self.drive)}/entries"
        return {"/".join(entry["path"]): entry for entry in self.ask("GET", path)["entries"]}

    def change(self, *changes, random=None):
        """Listed changes, then random ones as `(seed, count)`."""
        body = {"changes": list(changes)}
        if random:
            body["random"] = {"seed": random[0], "count": random[1]}
        return self.ask("POST", f"/drives/{urllib.parse.quote(self.drive)}/changes", body)

    def refresh_token(self, client, scope):
        """What a sign-in of the user in a browser would have given a client."""
        body = {"client_id": client, "scope": scope, "user": USER}
        return self.ask("POST", "/refresh-tokens", body)["refresh_token"]


class PeerTest(unittest.TestCase):
    """One simulator and one empty folder for each test. Any violation the simulator noted fails it."""

    flags = ("--files", "150", "--folders", "20", "--big-file", "30000000")
    # How the simulator behaves, where that is not the default; and violations that the client is known for.
    switches = {}
    known_violations = frozenset()

    def setUp(self):
        self.maxDiff = 4_000
        folder = tempfile.TemporaryDirectory(prefix="peer-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sim = Simulator(*self.flags)
        self.addCleanup(self.sim.stop)
        if self.switches:
            self.sim.ask("PUT", "/switches", self.switches)

    def tearDown(self):
        violations = self.sim.ask("GET", "/violations")["violations"]
        unknown = [violation for violation in violations if violation["kind"] not in self.known_violations]
        self.assertEqual(unknown, [], "what the client did wrong")

    def run_program(self, *command, **environment):
        """Runs a foreign program to its end, which has to be a good one; returns what it prints."""
        home = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}
        done = subprocess.run(command, env=home, capture_output=True, timeout=RUN_LIMIT, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, f"{' '.join(map(str, command))}\n{said[-6_000:]}")
        return done.stdout

    def assert_mirrored(self, folder, ignore=()):
        """The folder holds what the drive holds: the same names, and files of the same bytes."""
        local = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
        local = {name: path for name, path in local.items() if name not in ignore}
        entries = self.sim.entries()
        self.assertEqual(sorted(local), sorted(entries))
        wrong = [name for name, entry in entries.items() if not is_copy(local[name], entry)]
        self.assertEqual(wrong, [], "of other content than in the drive")


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Redirections are looked at, not followed."""

    def redirect_request(self, *_):
        return None


def browse(address):
    """Where a browser ends up that opens the address of a sign-in; the simulator signs the user in by itself."""
    try:
        urllib.request.build_opener(_Unfollowed()).open(address, timeout=ANSWER_LIMIT).close()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.headers["Location"]
    raise AssertionError("the sign-in page did not send the browser back")


def is_copy(path, entry):
    """Whether a local file or folder is what the drive has."""
    if entry["kind"] != "file":
        return path.is_dir()
    content = path.read_bytes()
    return len(content) == entry["size"] and entry["quick_xor"] in (None, quick_xor(content))


def quick_xor(content):
    """The quickXorHash of some bytes: byte i is XORed in after a rotation of the 160-bit register by 11 i bits."""
    # Rotations repeat after 160 bytes, so bytes that far apart may be XORed with each other first.
    folded = 0
    for start in range(0, len(content), 160):
        folded ^= int.from_bytes(content[start : start + 160], "little")
    register = 0
    for index, byte in enumerate(folded.to_bytes(160, "little")):
        shift = index * 11 % 160
        register ^= (byte << shift | byte << shift >> 160) & (1 << 160) - 1
    register ^= len(content) << 96
    return base64.b64encode(register.to_bytes(20, "little")).decode()
