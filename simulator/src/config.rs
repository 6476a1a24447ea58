//! What a simulator is started with.

mod app;

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::app::{App, FederatedCredential, Issuer, Platform, Redirect};
use crate::clock::Clock;
use crate::switches::Switches;
use crate::tls::TlsIdentity;

/// The tenant of the default configuration.
pub const TENANT_ID: &str = "6f0f5d0c-51f1-4c7a-9d7e-5a0c10c0ffee";
/// The public client (no secret) of the default configuration.
pub const PUBLIC_CLIENT_ID: &str = "b0a7c0de-0000-4000-8000-000000000001";
/// Where a sign-in leads back to for programs that read the address of the browser; a page of the service itself.
const NATIVE_CLIENT_REDIRECT: &str = "https://login.microsoftonline.com/common/oauth2/nativeclient";
/// The confidential client of the default configuration.
pub const CONFIDENTIAL_CLIENT_ID: &str = "b0a7c0de-0000-4000-8000-000000000002";
/// Secret of the confidential client of the default configuration.
pub const CONFIDENTIAL_CLIENT_SECRET: &str = "sim-secret-of-the-confidential-client";
/// Certificate of the confidential client of the default configuration (PEM).
pub const CONFIDENTIAL_CLIENT_CERTIFICATE: &str = include_str!("../keys/test-client-certificate.pem");
/// The private key of that certificate (PKCS#8, PEM). It is public, and must never sign anything real.
pub const CONFIDENTIAL_CLIENT_KEY: &str = include_str!("../keys/test-client-key.pem");
/// Issuer whose tokens prove the confidential client of the default configuration too.
pub const TRUSTED_ISSUER: &str = "https://issuer.contoso.example";
/// The `sub` claim of such a token; its audience is `api://AzureADTokenExchange`.
pub const TRUSTED_ISSUER_SUBJECT: &str = "system:serviceaccount:default:worker";
/// The private key the issuer signs with (PKCS#8, PEM). It is public, and must never sign anything real.
pub const TRUSTED_ISSUER_KEY: &str = include_str!("../keys/test-issuer-key.pem");
/// Modulus of that key (RFC 7518 §6.3.1.1).
const TRUSTED_ISSUER_MODULUS: &str = "zTxTePDCoNGOQ-YVMY2zAETK4bvxiiMb8WX1gP9q8oUjUXvsKVsF0pmQFNg1EFOc7ghJigS4TKxoAEDTu1xi1Oe2MO-bKy_FXLAZFCPTM3umZ1Bm9YAxm_RBxfyNmdLU3ysBSvgCI6y1tF9mF1na0kEofH41QqyZxTXVqNGRWNvw3rIAxRwX3hRskhslMyLA5v0fkjsnBr9TvLYHy6lGiK064uuyljtX4a1YHev7bAhAonfdfR1QAsjSbeAkZIMYI-rafqek-z1V8hlvq7su2URAGDqR0A6jrN3mv2Seimxs3qXEO3ntmSZjKW5oMFh26cAr9VjvPoE5trhw05txDw";
/// User principal name of the first user of the default configuration.
pub const FIRST_USER: &str = "adele@contoso.example";
/// User principal name of the second user of the default configuration.
pub const SECOND_USER: &str = "bruno@contoso.example";

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Seed of everything random that is not a drive's content.
    pub seed: u64,
    /// Where the three listeners go.
    pub listen: Listen,
    /// Under which addresses clients reach the listeners, when those are not the ones they listen on.
    pub public: Public,
    /// Certificate of the listeners for Entra and Graph; none makes them speak plain HTTP. The control interface never uses TLS.
    pub tls: Option<TlsIdentity>,
    /// The time.
    pub clock: Clock,
    /// Tenants that exist.
    pub tenants: Vec<Tenant>,
    /// People who can sign in; the first is the default.
    pub users: Vec<User>,
    /// Registered applications.
    pub apps: Vec<App>,
    /// Principal names of the users who may consent for everybody.
    pub admins: Vec<String>,
    /// Issuers whose tokens federated credentials may name.
    pub issuers: Vec<Issuer>,
    /// How the simulator behaves at first.
    pub switches: Switches,
}

impl Default for Config {
    fn default() -> Self {
        let user = |number: u8, upn: &str, name: &str| User {
            oid: format!("0b1ec7ed-0000-4000-8000-{number:012}"),
            tid: TENANT_ID.to_owned(),
            upn: upn.to_owned(),
            name: name.to_owned(),
        };
        Self {
            seed: 1,
            listen: Listen::default(),
            public: Public::default(),
            tls: None,
            clock: Clock::system(),
            tenants: vec![Tenant { id: TENANT_ID.to_owned(), domain: "contoso.example".to_owned() }],
            users: vec![user(1, FIRST_USER, "Adele Vance"), user(2, SECOND_USER, "Bruno Costa")],
            apps: vec![
                App::public(PUBLIC_CLIENT_ID)
                    .redirect(NATIVE_CLIENT_REDIRECT, Platform::Native)
                    .redirect("http://localhost", Platform::Native)
                    .redirect("http://127.0.0.1", Platform::Native)
                    .redirect("https://spa.contoso.example/", Platform::Spa),
                App::confidential(CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET)
                    .certificate(CONFIDENTIAL_CLIENT_CERTIFICATE)
                    .federated(FederatedCredential {
                        issuer: TRUSTED_ISSUER.to_owned(),
                        subject: TRUSTED_ISSUER_SUBJECT.to_owned(),
                        audience: "api://AzureADTokenExchange".to_owned(),
                    })
                    .redirect("http://localhost/callback", Platform::Web)
                    .redirect("https://app.contoso.example/callback", Platform::Web),
            ],
            admins: vec![FIRST_USER.to_owned()],
            issuers: vec![Issuer {
                issuer: TRUSTED_ISSUER.to_owned(),
                jwks: json!({"keys": [{"kty": "RSA", "kid": "test-issuer", "n": TRUSTED_ISSUER_MODULUS, "e": "AQAB"}]}),
            }],
            switches: Switches::default(),
        }
    }
}

/// Addresses of the three listeners; port 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// Entra.
    pub authority: SocketAddr,
    /// Graph and the download links.
    pub graph: SocketAddr,
    /// The control interface.
    pub control: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { authority: free, graph: free, control: free }
    }
}

/// Base addresses that clients use, without a slash at the end, such as `https://graph.microsoft.com`. What the simulator writes
/// into its answers begins with them. Each is left out to use the address that is listened on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// Entra.
    pub authority: Option<String>,
    /// Graph, without the version.
    pub graph: Option<String>,
    /// Download links and what else needs no bearer token; the same listener as Graph. Its host should differ from Graph's: at the
    /// real service it does, and clients that follow redirects drop the bearer token only when the host changes. Left out, it is
    /// `localhost` when Graph listens on `127.0.0.1`, else the address Graph listens on.
    pub content: Option<String>,
}

/// A tenant of Entra.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its GUID.
    pub id: String,
    /// Its domain, which may stand in an address instead of the GUID.
    pub domain: String,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Object id, a GUID.
    pub oid: String,
    /// The tenant, a GUID.
    pub tid: String,
    /// User principal name.
    pub upn: String,
    /// The name people read.
    pub name: String,
}

impl User {
    /// Whether a text is the user's principal name, in any case, or object id.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.oid == name || self.upn.eq_ignore_ascii_case(name)
    }
}
