//! `POST /{tenant}/oauth2/v2.0/token` (graph-behaviour §9.3): one file per grant.

mod authorization_code;
mod client_credentials;
mod device_code;
mod refresh_token;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;

use super::TenantRef;
use super::claims::ClaimsRequest;
use super::client::Form;
use super::error::EntraError;
use super::id_token;
use super::ledger::access::Access;
use super::scopes::Scopes;
use crate::config::User;
use crate::json;
use crate::throttle::Limits;
use crate::world::World;

/// AADSTS: there is no such grant.
const UNSUPPORTED_GRANT_TYPE: u32 = 70_003;
/// Shortest and longest life of an access token when it is random, in seconds (§9.3).
const RANDOM_LIFE: [u64; 2] = [3_600, 5_400];
/// The same for clients that can be challenged (§9.6).
const LONG_RANDOM_LIFE: [u64; 2] = [72_000, 100_800];
/// Tokens that live at least so long come with a time to renew them at, in seconds.
const REFRESH_IN_FROM: u64 = 7_200;

/// A token request.
struct TokenRequest<'a> {
    world: &'a World,
    tenant: &'a TenantRef,
    form: &'a Form,
    claims: ClaimsRequest,
}

/// Answers a token request.
pub(super) fn answer(world: &World, tenant: &TenantRef, form: &Form) -> Result<Response, EntraError> {
    let grant = form.require("grant_type")?;
    let claims = ClaimsRequest::parse(form.get("claims"))?;
    if claims.answers_challenge {
        world.counters.add(|counts| counts.claims_requests += 1);
    }
    let request = TokenRequest { world, tenant, form, claims };
    match grant {
        "authorization_code" => authorization_code::answer(&request),
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => device_code::answer(&request),
        "refresh_token" => refresh_token::answer(&request),
        "client_credentials" => client_credentials::answer(&request),
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            Err(EntraError::of(UNSUPPORTED_GRANT_TYPE).saying(text))
        }
    }
}

#[derive(Serialize)]
struct Answer {
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    expires_in: u64,
    ext_expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_in: Option<u64>,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_info: Option<String>,
}

impl Answer {
    /// An access token and nothing else.
    fn new(access_token: String, lifetime: u64) -> Self {
        Self {
            token_type: "Bearer",
            scope: None,
            expires_in: lifetime,
            ext_expires_in: lifetime,
            refresh_in: (lifetime >= REFRESH_IN_FROM).then_some(lifetime / 2),
            access_token,
            refresh_token: None,
            id_token: None,
            client_info: None,
        }
    }

    fn into_response(self) -> Response {
        let mut response = json::response(StatusCode::OK, &self);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        response
    }
}

/// What somebody who signed in is given.
struct SignedIn<'a> {
    client_id: &'a str,
    user: &'a User,
    scopes: &'a Scopes,
    refresh_token: Option<String>,
    nonce: Option<&'a str>,
    /// The client understands claims challenges.
    challengeable: bool,
    /// The second of the sign-in the token stands for, if it is told.
    not_before: Option<u64>,
}

impl TokenRequest<'_> {
    /// The answer for somebody who signed in.
    fn grant(&self, given: SignedIn<'_>) -> Response {
        let world = self.world;
        let lifetime = self.lifetime(given.challengeable);
        let expires = world.clock.now_ms().saturating_add(lifetime.saturating_mul(1_000));
        let who = (given.user.tid.clone(), given.client_id.to_owned(), Some(given.user.oid.clone()));
        let mut access = Access::new(who, given.scopes.clone(), expires);
        if given.challengeable {
            access = access.challengeable(given.not_before.unwrap_or_default());
        }
        let bytes = world.switches().tokens.access_bytes;
        let access_token = world.entra.ledger().issue_access(access, bytes);
        world.counters.add(|counts| counts.access_tokens += 1);
        let id_token = || id_token::issue(world, given.user, given.client_id, given.nonce, lifetime);
        let client_info = || {
            let info = json!({"uid": given.user.oid, "utid": given.user.tid});
            URL_SAFE_NO_PAD.encode(info.to_string())
        };
        Answer {
            scope: Some(given.scopes.granted()),
            refresh_token: given.refresh_token,
            id_token: given.scopes.has("openid").then(id_token).flatten(),
            client_info: (self.form.get("client_info") == Some("1")).then(client_info),
            ..Answer::new(access_token, lifetime)
        }
        .into_response()
    }

    /// Counts a request of a user; too many are refused (graph-behaviour §7).
    fn check_limit(&self, user: &User) -> Result<(), u64> {
        let limits = Limits::of(&self.world.switches());
        self.world.throttle.take_token(&user.tid, &user.oid, &limits, self.world.clock.now_ms())
    }

    /// How long an access token lives, in seconds.
    fn lifetime(&self, challengeable: bool) -> u64 {
        let tokens = self.world.switches().tokens;
        if !tokens.random_lifetimes {
            return tokens.access_seconds;
        }
        let [least, most] = if challengeable { LONG_RANDOM_LIFE } else { RANDOM_LIFE };
        least + self.world.entra.ledger().random().below(most - least + 1)
    }
}
