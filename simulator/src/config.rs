//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::switches::Switches;

/// The tenant of the default configuration.
pub const TENANT_ID: &str = "6f0f5d0c-51f1-4c7a-9d7e-5a0c10c0ffee";
/// The public client (no secret) of the default configuration.
pub const PUBLIC_CLIENT_ID: &str = "b0a7c0de-0000-4000-8000-000000000001";
/// The confidential client of the default configuration.
pub const CONFIDENTIAL_CLIENT_ID: &str = "b0a7c0de-0000-4000-8000-000000000002";
/// Secret of the confidential client of the default configuration.
pub const CONFIDENTIAL_CLIENT_SECRET: &str = "sim-secret-of-the-confidential-client";
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
    /// Host name in download links; none is `localhost` when Graph listens on `127.0.0.1`, else the address Graph listens on.
    /// It should differ from Graph's: at the real service it does, and clients that follow redirects drop the bearer token
    /// only when the host changes.
    pub download_host: Option<String>,
    /// The time.
    pub clock: Clock,
    /// Tenants that exist.
    pub tenants: Vec<Tenant>,
    /// People who can sign in; the first is the default.
    pub users: Vec<User>,
    /// Registered applications.
    pub apps: Vec<App>,
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
            download_host: None,
            clock: Clock::system(),
            tenants: vec![Tenant { id: TENANT_ID.to_owned(), domain: "contoso.example".to_owned() }],
            users: vec![user(1, FIRST_USER, "Adele Vance"), user(2, SECOND_USER, "Bruno Costa")],
            apps: vec![
                App { client_id: PUBLIC_CLIENT_ID.to_owned(), secret: None },
                App {
                    client_id: CONFIDENTIAL_CLIENT_ID.to_owned(),
                    secret: Some(CONFIDENTIAL_CLIENT_SECRET.to_owned()),
                },
            ],
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

/// A registered application.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    pub client_id: String,
    /// Its secret; none makes it a public client.
    pub secret: Option<String>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let confidential = self.secret.is_some();
        formatter
            .debug_struct("App")
            .field("client_id", &self.client_id)
            .field("confidential", &confidential)
            .finish()
    }
}
