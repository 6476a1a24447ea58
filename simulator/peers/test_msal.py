"""MSAL for Python: sign-ins, silent renewal, and an application that acts for itself."""

import json
import pathlib
import urllib.parse
import urllib.request

import msal

import m365

SCOPES = ["Files.Read.All"]


class Msal(m365.PeerTest):
    flags = ("--files", "3", "--folders", "1")

    def client(self, tenant, cache=None):
        authority = f"https://login.microsoftonline.com/{tenant}" if tenant else None
        return msal.PublicClientApplication(m365.PUBLIC_CLIENT, authority=authority, token_cache=cache)

    def sign_in(self, app):
        flow = app.initiate_device_flow(scopes=SCOPES)
        self.assertIn("user_code", flow, flow)
        self.sim.ask("POST", "/device-codes/approve", {"user_code": flow["user_code"], "user": m365.USER})
        return self.token(app.acquire_token_by_device_flow(flow))

    def token(self, result):
        self.assertIn("access_token", result or {}, result)
        return result["access_token"]

    def drive_id(self, token):
        request = urllib.request.Request("https://graph.microsoft.com/v1.0/me/drive")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=m365.ANSWER_LIMIT) as answer:
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
        app = msal.ConfidentialClientApplication(
            m365.CONFIDENTIAL_CLIENT,
            client_credential=m365.CONFIDENTIAL_SECRET,
            authority=f"https://login.microsoftonline.com/{m365.TENANT}",
        )
        scopes = ["https://graph.microsoft.com/.default"]
        first = self.token(app.acquire_token_for_client(scopes))
        self.assertEqual(self.token(app.acquire_token_for_client(scopes)), first)

    def test_an_application_with_a_certificate(self):
        keys = pathlib.Path(__file__).parent.parent / "keys"
        app = msal.ConfidentialClientApplication(
            m365.CONFIDENTIAL_CLIENT,
            client_credential={
                "private_key": (keys / "test-client-key.pem").read_text(),
                "public_certificate": (keys / "test-client-certificate.pem").read_text(),
            },
            authority=f"https://login.microsoftonline.com/{m365.TENANT}",
        )
        self.token(app.acquire_token_for_client(["https://graph.microsoft.com/.default"]))
