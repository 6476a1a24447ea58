"""What the tests with foreign clients stand on: a simulator under Microsoft's names, its control interface, and a judge.

scripts/peers prepares the namespaces these run in: the names lead to AUTHORITY and GRAPH, and every bundle of trusted certificates
is AUTHORITY_FILE.
"""

import base64
import html.parser
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import time
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

# Longest one answer may take, and one run of a foreign program, in seconds. They end what hangs, and are no measure of speed: a busy
# machine may take twenty times as long as an idle one.
ANSWER_LIMIT = 120
RUN_LIMIT = 600
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
        try:
            self.process.wait(ANSWER_LIMIT)
        finally:
            # The next one needs its addresses.
            self.process.kill()
            self.process.wait()

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

    def fault(self, fault, **members):
        """Something goes wrong, as `POST /control/faults` describes it; returns its number."""
        return self.ask("POST", "/faults", {"fault": fault, **members})["id"]

    def struck(self, fault):
        """How many requests a fault has struck."""
        return next(active["struck"] for active in self.ask("GET", "/faults")["faults"] if active["id"] == fault)

    def requests(self, endpoint):
        """How many requests of a kind there were."""
        return self.ask("GET", "/counters")["requests"].get(endpoint, 0)

    def refresh_token(self, client, scope):
        """What a sign-in of the user in a browser would have given a client."""
        body = {"client_id": client, "scope": scope, "user": USER}
        return self.ask("POST", "/refresh-tokens", body)["refresh_token"]


class PeerTest(unittest.TestCase):
    """One simulator and one empty folder for each test. Any violation the simulator noted fails it, unless the client is known for it."""

    flags = ("--files", "150", "--folders", "20", "--big-file", "30000000")
    # How the simulator behaves, where that is not the default.
    switches = {}

    def setUp(self):
        self.maxDiff = 4_000
        folder = tempfile.TemporaryDirectory(prefix="peer-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sim = Simulator(*self.flags)
        self.addCleanup(self.sim.stop)
        if self.switches:
            self.sim.ask("PUT", "/switches", self.switches)
        # Kinds of violations that the client is known for; nothing else is let pass. A test that does not see one of them fails as
        # well: then the entry is out of date.
        self.expected_violations = set()
        # The same for those whose occurrence is a matter of timing.
        self.possible_violations = set()

    def tearDown(self):
        violations = self.sim.ask("GET", "/violations")["violations"]
        known = self.expected_violations | self.possible_violations
        unknown = [violation for violation in violations if violation["kind"] not in known]
        self.assertEqual(unknown, [], "what the client did wrong")
        done = {violation["kind"] for violation in violations}
        self.assertEqual(self.expected_violations - done, set(), "is no longer done wrong")

    def environment(self):
        """What a foreign program finds: an empty home, and nothing that somebody set."""
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def try_program(self, *command):
        """Runs a foreign program to its end; what came of it."""
        return subprocess.run(
            command, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_LIMIT, check=False
        )

    def run_program(self, *command):
        """Runs a foreign program to its end, which has to be a good one; returns what it prints."""
        done = self.try_program(*command)
        said = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, f"{' '.join(map(str, command))}\n{said[-6_000:]}")
        return done.stdout

    def start_program(self, *command):
        """Starts a foreign program; it ends with the test at the latest."""
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        client = subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, **output)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait, ANSWER_LIMIT)
        self.addCleanup(client.kill)
        return client

    def wait_until(self, condition, client):
        """Waits for something that a started program leads to."""
        limit = time.monotonic() + ANSWER_LIMIT
        while not condition():
            self.assertIsNone(client.poll(), "it ended early")
            self.assertLess(time.monotonic(), limit, "it does not do what is waited for")
            time.sleep(0.02)

    def assert_struck(self, *faults):
        """Each fault struck: what was to be survived did happen."""
        self.assertNotIn(0, [self.sim.struck(fault) for fault in faults])

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


def trusting():
    """What the tests' own requests over TLS trust."""
    return ssl.create_default_context(cafile=AUTHORITY_FILE)


def browse(address):
    """Where a browser that opens an address of the authority is sent; the simulator signs the user in by itself."""
    opener = urllib.request.build_opener(_Unfollowed(), urllib.request.HTTPSHandler(context=trusting()))
    try:
        opener.open(address, timeout=ANSWER_LIMIT).close()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.headers["Location"]
    raise AssertionError("the sign-in page did not send the browser back")


class _Form(html.parser.HTMLParser):
    """The form of a page: where it goes, and its hidden fields."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes["action"]
        if tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")


def sign_in_by_browser(address):
    """Opens an address as a browser does: follows redirections, and sends the form by which a sign-in goes back to a program."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusting()))
    with opener.open(address, timeout=ANSWER_LIMIT) as answer:
        form = _Form(answer.read().decode(errors="replace"))
    if form.action and form.action.startswith("http"):
        opener.open(form.action, urllib.parse.urlencode(form.fields).encode(), timeout=ANSWER_LIMIT).close()


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
