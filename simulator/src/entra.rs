//! Entra: device code, token and discovery endpoints (graph-behaviour §9).

mod client;
mod device_code;
mod device_login;
mod discovery;
mod error;
mod id_token;
pub(crate) mod ledger;
mod scopes;
mod sign_in;
mod token;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};

use self::error::EntraError;
use self::ledger::Ledger;
pub use self::sign_in::SignInError;
use crate::config::{App, Tenant};
use crate::counters::Endpoint;
use crate::faults::Hits;
use crate::lock::lock;
use crate::transport::{self, Peer};
use crate::world::World;

/// Largest request body the endpoints read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Applications and everything that was issued to them.
#[derive(Debug)]
pub(crate) struct Entra {
    apps: Vec<App>,
    ledger: Mutex<Ledger>,
}

impl Entra {
    /// An Entra that has issued nothing.
    pub(crate) fn new(apps: Vec<App>, seed: u64) -> Self {
        Self { apps, ledger: Mutex::new(Ledger::new(seed)) }
    }

    /// Everything that was issued, locked.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }
}

/// The routes of the authority.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device_code_endpoint))
        .route("/{tenant}/oauth2/v2.0/token", post(token_endpoint))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery::document))
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route("/devicelogin", get(device_login::page).post(device_login::submit))
        .with_state(world)
}

/// Which tenant an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TenantRef {
    /// `common`, `organizations` or `consumers`: whichever the user belongs to.
    Any,
    /// This one (GUID).
    One(String),
}

impl TenantRef {
    fn parse(world: &World, text: &str) -> Result<Self, EntraError> {
        if matches!(text, "common" | "organizations" | "consumers") {
            return Ok(Self::Any);
        }
        let fits = |tenant: &&Tenant| {
            tenant.id.eq_ignore_ascii_case(text) || tenant.domain.eq_ignore_ascii_case(text)
        };
        let found = world.tenants.iter().find(fits);
        found.map(|tenant| Self::One(tenant.id.clone())).ok_or_else(|| EntraError::unknown_tenant(text))
    }

    /// Whether users of a tenant may sign in here.
    pub(crate) fn admits(&self, tid: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One(only) => only == tid,
        }
    }
}

async fn device_code_endpoint(
    State(world): State<Arc<World>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    endpoint(&world, &peer, (Endpoint::DeviceCode, device_code::answer), &tenant, request).await
}

async fn token_endpoint(
    State(world): State<Arc<World>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    endpoint(&world, &peer, (Endpoint::Token, token::answer), &tenant, request).await
}

/// What turns a form into an answer.
type Handler = fn(&World, &TenantRef, &client::Form) -> Result<Response, EntraError>;

/// What both endpoints have in common: counting, faults, and how errors are written.
async fn endpoint(
    world: &World,
    peer: &Peer,
    handler: (Endpoint, Handler),
    tenant: &str,
    request: Request,
) -> Response {
    let (kind, answer) = handler;
    world.counters.request(kind);
    let hits = world.faults.strike(kind, None);
    let form = client::Form::read(request).await;
    transport::respond(world, peer, &hits, async {
        if let Some(response) = faulty(world, &hits) {
            return response;
        }
        let answered = TenantRef::parse(world, tenant).and_then(|tenant| answer(world, &tenant, &form?));
        answered.unwrap_or_else(|error| error.into_response(world))
    })
    .await
}

fn faulty(world: &World, hits: &Hits) -> Option<Response> {
    if let Some(error) = hits.find(EntraError::of_fault) {
        return Some(error.into_response(world));
    }
    transport::status_fault(world, hits, |status, _| {
        EntraError::plain(
            status,
            "temporarily_unavailable",
            90033,
            "A transient error has occurred. Please try again.",
        )
        .into_response(world)
    })
}
