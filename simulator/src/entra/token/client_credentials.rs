//! The client-credentials grant (RFC 6749 §4.4): an application acts for itself, in one tenant.

use axum::response::Response;

use super::{Answer, TokenRequest};
use crate::entra::TenantRef;
use crate::entra::error::EntraError;
use crate::entra::ledger::access::Access;
use crate::entra::scopes::Scopes;
use crate::switches::Consent;

/// AADSTS: the application did not prove itself.
const CREDENTIAL_MISSING: u32 = 7_000_218;
/// AADSTS: an application has to say in which tenant it acts.
const TENANT_MISSING: u32 = 9_001_023;
/// AADSTS: an application gets what was consented to, and cannot ask for less or more.
const SCOPE_NOT_DEFAULT: u32 = 1_002_012;

/// Answers with a token that names no user: no scope, no refresh token, no ID token. Where nobody consented the token is as good,
/// and Graph refuses it.
pub(super) fn answer(request: &TokenRequest<'_>) -> Result<Response, EntraError> {
    let TokenRequest { world, tenant, form, .. } = request;
    let app = form.authenticated_app(world, tenant)?;
    if !app.is_confidential() {
        return Err(
            EntraError::of(CREDENTIAL_MISSING).saying("The client is public and cannot act for itself.")
        );
    }
    let TenantRef::One(tid) = tenant else { return Err(EntraError::of(TENANT_MISSING)) };
    if !form.require("scope")?.ends_with("/.default") {
        return Err(EntraError::of(SCOPE_NOT_DEFAULT));
    }
    let lifetime = request.lifetime(false);
    let expires = world.clock.now_ms().saturating_add(lifetime.saturating_mul(1_000));
    let switches = world.switches();
    let implied = switches.sign_in.consent == Consent::Implied;
    let mut ledger = world.entra.ledger();
    let allowed = implied || ledger.consents.is_allowed_for_all(&app.client_id, tid);
    let scopes = if allowed { Scopes::of_application() } else { Scopes::default() };
    let access = Access::new((tid.clone(), app.client_id.clone(), None), scopes, expires);
    let access_token = ledger.issue_access(access, switches.tokens.access_bytes);
    drop(ledger);
    world.counters.add(|counts| counts.access_tokens += 1);
    Ok(Answer::new(access_token, lifetime).into_response())
}
