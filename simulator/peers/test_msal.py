"""MSAL for Python: sign-ins, silent renewal, challenges, and an application that acts for itself."""

import base64
import json
import pathlib
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
import webbrowser

import msal

import m365

SCOPES = ["Files.Read.All"]
APPLICATION_SCOPES = ["https://graph.microsoft.com/.default"]
KEYS = pathlib.Path(__file__).parent.parent / "keys"


class Browser(webbrowser.BaseBrowser):
    """The browser of this machine, and a person in front of it."""

    def open(self, url, new=0, autoraise=True):
        threading.Thread(target=m365.sign_in_by_browser, args=[url]).start()
        return True


class Msal(m365.PeerTest):
    flags = ("--files", "3", "--folders", "1")

    def client(self, tenant, cache=None, **options):
        authority = f"https://login.microsoftonline.com/{tenant}" if tenant else None
        return msal.PublicClientApplication(m365.PUBLIC_CLIENT, authority=authority, token_cache=cache, **options)

    def application(self, credential):
        authority = f"https://login.microsoftonline.com/{m365.TENANT}"
        return msal.ConfidentialClientApplication(
            m365.CONFIDENTIAL_CLIENT, client_credential=credential, authority=authority
        )

    def sign_in(self, app):
        flow = app.initiate_device_flow(scopes=SCOPES)
        self.assertIn("user_code", flow, flow)
        self.sim.ask("POST", "/device-codes/approve", {"user_code": flow["user_code"], "user": m365.USER})
        return self.token(app.acquire_token_by_device_flow(flow))

    def token(self, result):
        self.assertIn("access_token", result or {}, result)
        return result["access_token"]

    def drive_id(self, token):
        request = urllib.request.Request(f"https://graph.microsoft.com/v1.0/drives/{self.sim.drive}")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=m365.ANSWER_LIMIT, context=m365.trusting()) as answer:
            return json.load(answer)["id"]

    def test_device_code_and_silent_renewal(self):
        for tenant in (None, "common", "organizations", m365.TENANT, "contoso.example"):
            with self.subTest(tenant=tenant):
                cache = msal.SerializableTokenCache()
                app = self.client(tenant, cache)
                first = self.sign_in(app)
                self.assertEqual(self.drive_id(first), self.sim.drive)
                (account,) = app.get_accounts()
                self.assertEqual(account["username"], m365.USER)
                self.assertEqual(self.token(app.acquire_token_silent(SCOPES, account)), first)
                # Another start of the program, with what was written to disk; twice, because a refresh token rotates.
                kept = msal.SerializableTokenCache()
                kept.deserialize(cache.serialize())
                again = self.client(tenant, kept)
                (account,) = again.get_accounts()
                tokens = [
                    self.token(again.acquire_token_silent(SCOPES, account, force_refresh=True)) for _ in range(2)
                ]
                self.assertEqual(len({first, *tokens}), 3)
                self.assertEqual(self.drive_id(tokens[-1]), self.sim.drive)

    def test_a_sign_in_in_a_browser(self):
        self.sim.ask("PUT", "/switches", {"sign_in": {"auto": "approve"}})
        app = self.client("common")
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:5000", login_hint=m365.USER)
        self.assertIn("code_challenge_method=S256", flow["auth_uri"])
        back = urllib.parse.urlsplit(m365.browse(flow["auth_uri"]))
        answer = dict(urllib.parse.parse_qsl(back.query))
        first = self.token(app.acquire_token_by_auth_code_flow(flow, answer))
        self.assertEqual(self.drive_id(first), self.sim.drive)
        (account,) = app.get_accounts()
        again = self.token(app.acquire_token_silent(SCOPES, account, force_refresh=True))
        self.assertNotEqual(again, first)
        # A code serves once.
        result = app.acquire_token_by_auth_code_flow(flow, answer)
        self.assertEqual(result["error"], "invalid_grant")

    def test_a_sign_in_in_a_browser_that_comes_back_over_loopback(self):
        self.sim.ask("PUT", "/switches", {"sign_in": {"auto": "approve"}})
        webbrowser.register("of the tests", None, Browser(), preferred=True)
        app = self.client(m365.TENANT)
        result = app.acquire_token_interactive(SCOPES, timeout=m365.ANSWER_LIMIT)
        self.assertEqual(self.drive_id(self.token(result)), self.sim.drive)
        self.assertEqual(result["id_token_claims"]["preferred_username"], m365.USER)

    def test_refresh_tokens_that_die_when_they_are_used(self):
        for rotation in ("strict", "grace"):
            with self.subTest(rotation=rotation):
                self.sim.ask("PUT", "/switches", {"tokens": {"rotation": rotation}})
                app = self.client("common")
                self.sign_in(app)
                (account,) = app.get_accounts()
                for _ in range(3):
                    token = self.token(app.acquire_token_silent(SCOPES, account, force_refresh=True))
                self.assertEqual(self.drive_id(token), self.sim.drive)

    def test_a_claims_challenge(self):
        app = self.client("common", client_capabilities=["cp1"])
        first = self.sign_in(app)
        (account,) = app.get_accounts()
        # Twice: the second challenge comes to a token that answered the first.
        for _ in range(2):
            # A token answers challenges of the second it is of.
            self.sim.ask("POST", "/clock/advance", {"seconds": 2})
            self.sim.ask("POST", "/users/challenge", {"user": m365.USER})
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.drive_id(first)
            with refused.exception as answer:
                self.assertEqual(answer.code, 401)
                claims = re.search('claims="([^"]+)"', answer.headers["WWW-Authenticate"])[1]
            claims = base64.b64decode(claims).decode()
            again = self.token(app.acquire_token_silent(SCOPES, account, claims_challenge=claims))
            self.assertNotEqual(again, first)
            self.assertEqual(self.drive_id(again), self.sim.drive)
            first = again

    def test_conditional_access_asks_for_a_person(self):
        app = self.client("common")
        self.sign_in(app)
        (account,) = app.get_accounts()
        fault = self.sim.fault("entra", error="AADSTS50076", times=1)
        result = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
        self.assertEqual((result["error"], result["suberror"]), ("invalid_grant", "basic_action"), result)
        self.assertIn("access_token", json.loads(result["claims"]))
        self.assert_struck(fault)

    def test_a_throttled_token_endpoint_is_left_alone(self):
        app = self.client("common")
        self.sign_in(app)
        (account,) = app.get_accounts()
        self.sim.fault("oauth", status=429, error="temporarily_unavailable", aadsts=90033, retry_after={"seconds": 600}, times=1)
        asked = self.sim.requests("token")
        for _ in range(3):
            result = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
            self.assertEqual(result["error"], "temporarily_unavailable", result)
        self.assertEqual(self.sim.requests("token"), asked + 1)

    def test_a_declined_sign_in(self):
        app = self.client("common")
        flow = app.initiate_device_flow(scopes=SCOPES)
        self.sim.ask("POST", "/device-codes/decline", {"user_code": flow["user_code"]})
        self.assertEqual(app.acquire_token_by_device_flow(flow)["error"], "authorization_declined")

    def test_a_revoked_sign_in_needs_a_person(self):
        app = self.client("common")
        self.sign_in(app)
        self.sim.ask("POST", "/users/revoke", {"user": m365.USER})
        (account,) = app.get_accounts()
        result = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
        self.assertEqual(result["error"], "invalid_grant")

    def test_an_application_that_acts_for_itself(self):
        app = self.application(m365.CONFIDENTIAL_SECRET)
        first = self.token(app.acquire_token_for_client(APPLICATION_SCOPES))
        self.assertEqual(self.token(app.acquire_token_for_client(APPLICATION_SCOPES)), first)
        self.assertEqual(self.drive_id(first), self.sim.drive)

    def test_an_application_with_a_wrong_secret(self):
        result = self.application("wrong").acquire_token_for_client(APPLICATION_SCOPES)
        self.assertEqual((result["error"], result["error_codes"]), ("invalid_client", [7000215]), result)

    def test_an_application_with_a_certificate(self):
        certificate = {
            "private_key": (KEYS / "test-client-key.pem").read_text(),
            "public_certificate": (KEYS / "test-client-certificate.pem").read_text(),
        }
        token = self.token(self.application(certificate).acquire_token_for_client(APPLICATION_SCOPES))
        self.assertEqual(self.drive_id(token), self.sim.drive)
