//! The authorization-code grant (RFC 6749 §4.1.3, RFC 7636 §4.5).

use axum::response::Response;

use super::{SignedIn, TokenRequest};
use crate::config::Platform;
use crate::entra::error::EntraError;
use crate::entra::pkce::Challenge;
use crate::entra::scopes::Scopes;

/// AADSTS: the address is not the one the code was sent to.
const REDIRECT_CHANGED: u32 = 500_112;
/// AADSTS: the code was redeemed before.
const REDEEMED: u32 = 54_005;
/// AADSTS: more is asked for than was consented to.
const CONSENT_MISSING: u32 = 65_001;

/// Redeems a code. One that is refused for what came with it is not used up.
pub(super) fn answer(request: &TokenRequest<'_>) -> Result<Response, EntraError> {
    let TokenRequest { world, tenant, form, claims } = request;
    let app = form.app(world)?;
    let code = form.require("code")?;
    let now = world.clock.now_ms();
    let found = world.entra.ledger().code(code, &app.client_id, now);
    let platform = found.as_ref().map_or(Platform::Web, |grant| grant.platform);
    if found.is_ok() {
        form.app_on(world, tenant, platform)?;
    } else {
        form.authenticated_app(world, tenant)?;
    }
    let grant = found.map_err(EntraError::of)?;
    if form.require("redirect_uri")? != grant.redirect_uri {
        return Err(EntraError::of(REDIRECT_CHANGED));
    }
    Challenge::check(grant.challenge.as_ref(), form.get("code_verifier"))?;
    let asked = form.get("scope").map(Scopes::parse).transpose()?;
    if asked.is_some_and(|asked| !asked.within(&grant.scopes)) {
        return Err(EntraError::of(CONSENT_MISSING));
    }
    request.check_limit(&grant.user).map_err(EntraError::throttled)?;
    let mut ledger = world.entra.ledger();
    if !ledger.redeem_code(code) {
        return Err(EntraError::of(REDEEMED));
    }
    let spa_life = world.switches().tokens.spa_refresh_seconds.saturating_mul(1_000);
    let ends = (platform == Platform::Spa).then(|| now.saturating_add(spa_life));
    let refresh_token = grant.scopes.has("offline_access").then(|| {
        let family = ledger.begin_family(&app.client_id, grant.user.clone(), grant.scopes.clone());
        ledger.shape_family(family, platform, ends);
        ledger.issue_refresh(family, None, now)
    });
    drop(ledger);
    Ok(request.grant(SignedIn {
        client_id: &app.client_id,
        user: &grant.user,
        scopes: &grant.scopes,
        refresh_token,
        nonce: grant.nonce.as_deref(),
        challengeable: claims.challengeable || grant.challengeable,
        not_before: Some(world.clock.now_seconds()),
    }))
}
