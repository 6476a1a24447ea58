//! Entra: authorization, device code, token, consent and discovery endpoints (graph-behaviour §9).

mod admin_consent;
mod assertion;
pub(crate) mod authorize;
mod claims;
mod client;
mod device_code;
mod device_login;
mod discovery;
pub(crate) mod error;
mod html;
mod id_token;
mod instance;
mod jwt;
mod keys;
pub(crate) mod ledger;
pub(crate) mod pkce;
mod revoke;
mod scopes;
pub(crate) mod setup;
mod sign_in;
mod token;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};

use self::error::EntraError;
use self::keys::SigningKey;
use self::ledger::Ledger;
pub use self::revoke::RevocationError;
use self::setup::{Registration, SetupError, TrustedIssuer};
pub use self::sign_in::SignInError;
use crate::config::{App, Config, Tenant};
use crate::counters::Endpoint;
use crate::faults::Hits;
use crate::lock::lock;
use crate::transport::{self, Peer};
use crate::world::World;

/// AADSTS: try again.
const UNAVAILABLE: u32 = 90_033;
/// Largest request body the endpoints read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Applications and everything that was issued to them.
#[derive(Debug)]
pub(crate) struct Entra {
    registrations: Vec<Registration>,
    issuers: Vec<TrustedIssuer>,
    admins: Vec<String>,
    key: SigningKey,
    ledger: Mutex<Ledger>,
}

impl Entra {
    /// An Entra that has issued nothing.
    pub(crate) fn new(config: &Config, seed: u64) -> Result<Self, SetupError> {
        Ok(Self {
            registrations: config.apps.iter().cloned().map(Registration::read).collect::<Result<_, _>>()?,
            issuers: config.issuers.iter().map(TrustedIssuer::read).collect::<Result<_, _>>()?,
            admins: config.admins.clone(),
            key: SigningKey::load()?,
            ledger: Mutex::new(Ledger::new(seed)),
        })
    }

    /// Everything that was issued, locked.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    fn apps(&self) -> impl Iterator<Item = &App> {
        self.registrations.iter().map(|registration| &registration.app)
    }

    fn registration(&self, client_id: &str) -> Option<&Registration> {
        self.registrations.iter().find(|registration| registration.app.client_id == client_id)
    }

    fn app(&self, client_id: &str) -> Option<&App> {
        self.registration(client_id).map(|registration| &registration.app)
    }
}

/// The routes of the authority.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device_code_endpoint))
        .route("/{tenant}/oauth2/v2.0/token", post(token_endpoint))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::authorize).post(authorize::authorize))
        .route(
            "/{tenant}/oauth2/v2.0/logout",
            get(authorize::session::logout).post(authorize::session::logout),
        )
        .route("/{tenant}/login", post(authorize::login))
        .route("/{tenant}/consent", post(authorize::consent))
        .route("/{tenant}/v2.0/adminconsent", get(admin_consent::endpoint).post(admin_consent::endpoint))
        .route("/{tenant}/adminconsent", get(admin_consent::endpoint).post(admin_consent::endpoint))
        .route("/{tenant}/discovery/instance", get(instance::discover))
        .route("/error", get(discovery::error))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery::document))
        // MSAL for Python asks so when it is given no authority.
        .route("/{tenant}//v2.0/.well-known/openid-configuration", get(discovery::document))
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route("/devicelogin", get(device_login::page).post(device_login::submit))
        .with_state(world)
}

/// Which tenant an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TenantRef {
    /// `common`, `organizations` or `consumers` (which one, as the address has it): whichever the user belongs to.
    Any(&'static str),
    /// This one (GUID).
    One(String),
}

impl TenantRef {
    fn parse(world: &World, text: &str) -> Result<Self, EntraError> {
        if let Some(shared) = ["common", "organizations", "consumers"].into_iter().find(|name| *name == text)
        {
            return Ok(Self::Any(shared));
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
            Self::Any(_) => true,
            Self::One(only) => only == tid,
        }
    }

    /// How addresses name it.
    fn segment(&self) -> &str {
        match self {
            Self::Any(shared) => shared,
            Self::One(tid) => tid,
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
    let cross_origin = form.as_ref().is_ok_and(client::Form::is_cross_origin);
    let presented = form.as_ref().ok().and_then(|form| form.get("refresh_token")).map(str::to_owned);
    let mut response = transport::respond(world, peer, &hits, async {
        if let Some(response) = faulty(world, &hits) {
            return response;
        }
        let answered = TenantRef::parse(world, tenant).and_then(|tenant| answer(world, &tenant, &form?));
        answered.unwrap_or_else(|error| error.into_response(world))
    })
    .await;
    if let Some(token) = presented.filter(|_| hits.lose_the_answer()) {
        world.entra.ledger().lose_answer(&token);
    }
    if cross_origin {
        let anyone = HeaderValue::from_static("*");
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    }
    response
}

fn faulty(world: &World, hits: &Hits) -> Option<Response> {
    if let Some(error) = hits.find(EntraError::of_fault) {
        return Some(error.into_response(world));
    }
    transport::status_fault(world, hits, |_, _, _| unavailable(world))
}

/// The body of an answer that a fault gave its status.
fn unavailable(world: &World) -> Response {
    EntraError::of(UNAVAILABLE).into_response(world)
}
