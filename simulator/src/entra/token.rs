//! `POST /{tenant}/oauth2/v2.0/token` (graph-behaviour §9.3): one file per grant.

mod client_credentials;
mod device_code;
mod refresh_token;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::TenantRef;
use super::client::Form;
use super::error::EntraError;
use super::id_token;
use super::ledger::access::Access;
use super::scopes::Scopes;
use crate::config::User;
use crate::json;
use crate::world::World;

/// Answers a token request.
pub(super) fn answer(world: &World, tenant: &TenantRef, form: &Form) -> Result<Response, EntraError> {
    let grant = form.require("grant_type")?;
    if form.get("claims").is_some() {
        world.counters.add(|counts| counts.claims_requests += 1);
    }
    match grant {
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => device_code::answer(world, form),
        "refresh_token" => refresh_token::answer(world, tenant, form),
        "client_credentials" => client_credentials::answer(world, tenant, form),
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            Err(EntraError::plain(400, "unsupported_grant_type", 70_003, text))
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
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl Answer {
    fn into_response(self) -> Response {
        let mut response = json::response(StatusCode::OK, &self);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        response
    }
}

/// The answer for somebody who signed in.
fn for_user(
    world: &World,
    client_id: &str,
    user: &User,
    scopes: &Scopes,
    refresh_token: Option<String>,
) -> Response {
    let lifetime = world.switches().tokens.access_seconds;
    let expires = world.clock.now_ms().saturating_add(lifetime.saturating_mul(1_000));
    let who = (user.tid.clone(), client_id.to_owned(), Some(user.oid.clone()));
    let access_token = world.entra.ledger().issue_access(Access::new(who, scopes.clone(), expires));
    world.counters.add(|counts| counts.access_tokens += 1);
    Answer {
        token_type: "Bearer",
        scope: Some(scopes.granted()),
        expires_in: lifetime,
        ext_expires_in: lifetime,
        access_token,
        refresh_token,
        id_token: scopes.has("openid").then(|| id_token::issue(world, user, client_id, lifetime)),
    }
    .into_response()
}
