//! The client-credentials grant (RFC 6749 §4.4): an application acts for itself, in one tenant.

use axum::response::Response;

use super::Answer;
use crate::entra::TenantRef;
use crate::entra::client::Form;
use crate::entra::error::EntraError;
use crate::entra::ledger::access::Access;
use crate::entra::scopes::Scopes;
use crate::world::World;

/// Answers with a token that names no user: no scope, no refresh token, no ID token.
pub(super) fn answer(world: &World, tenant: &TenantRef, form: &Form) -> Result<Response, EntraError> {
    let app = form.authenticated_app(world)?;
    if app.secret.is_none() {
        let text = "The client is public and cannot act for itself.";
        return Err(EntraError::plain(401, "invalid_client", 7_000_218, text));
    }
    let TenantRef::One(tid) = tenant else {
        let text = "Please specify either a tenant-specific endpoint; the request came to a shared one.";
        return Err(EntraError::invalid_request(9_001_023, text));
    };
    if !form.require("scope")?.ends_with("/.default") {
        let text = "The scope of a client-credentials request must be a resource with '/.default'.";
        return Err(EntraError::plain(400, "invalid_scope", 1_002_012, text));
    }
    let lifetime = world.switches().tokens.access_seconds;
    let expires = world.clock.now_ms().saturating_add(lifetime.saturating_mul(1_000));
    let access = Access::new((tid.clone(), app.client_id.clone(), None), Scopes::of_application(), expires);
    let access_token = world.entra.ledger().issue_access(access);
    world.counters.add(|counts| counts.access_tokens += 1);
    Ok(Answer {
        token_type: "Bearer",
        scope: None,
        expires_in: lifetime,
        ext_expires_in: lifetime,
        access_token,
        refresh_token: None,
        id_token: None,
    }
    .into_response())
}
