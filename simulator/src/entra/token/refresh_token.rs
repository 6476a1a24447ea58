//! The refresh-token grant (RFC 6749 §6), with the rotation that is switched on.

use axum::response::Response;

use super::{SignedIn, TokenRequest};
use crate::config::Platform;
use crate::critic::ViolationKind;
use crate::entra::error::EntraError;
use crate::entra::ledger::consent::Consents;
use crate::entra::ledger::refresh::{Family, Rules, Use};
use crate::entra::scopes::Scopes;
use crate::world::World;

/// AADSTS: the token is not one.
const INVALID: u32 = 70_000;
/// AADSTS: more is asked for than was consented to.
const CONSENT_MISSING: u32 = 65_001;

/// Answers a refresh.
pub(super) fn answer(request: &TokenRequest<'_>) -> Result<Response, EntraError> {
    let TokenRequest { world, tenant, form, claims } = request;
    let token = form.require("refresh_token")?;
    let platform = world.entra.ledger().refresh_platform(token);
    let app = match platform {
        Some(platform @ (Platform::Spa | Platform::Web)) => form.app_on(world, tenant, platform)?,
        Some(Platform::Native) | None => form.authenticated_app(world, tenant)?,
    };
    let asked = form.get("scope").map(Scopes::parse).transpose()?;
    let switches = world.switches().tokens;
    let now = world.clock.now_ms();
    let lifetime_ms = switches.refresh_seconds.saturating_mul(1_000);
    let rules = Rules { rotation: switches.rotation, lifetime_ms, now_ms: now };
    let mut wait = None;
    let used = world.entra.ledger().use_refresh(token, &app.client_id, rules, |family, consents| {
        if !tenant.admits(&family.user.tid) {
            return Some(INVALID);
        }
        let lacks = |asked| !is_consented(family, consents, asked);
        if asked.as_ref().is_some_and(lacks) {
            return Some(CONSENT_MISSING);
        }
        wait = request.check_limit(&family.user).err();
        wait.map(|_| INVALID)
    });
    observe(world, &used);
    if let Some(seconds) = wait {
        return Err(EntraError::throttled(seconds));
    }
    let (number, family) = used.outcome.map_err(EntraError::of)?;
    let scopes = asked.unwrap_or(family.scopes);
    let successor = world.entra.ledger().issue_refresh(number, Some(token), now);
    world.counters.add(|counts| counts.refreshes += 1);
    Ok(request.grant(SignedIn {
        client_id: &app.client_id,
        user: &family.user,
        scopes: &scopes,
        refresh_token: Some(successor),
        nonce: None,
        challengeable: claims.challengeable,
        not_before: claims.not_before,
    }))
}

/// Whether somebody consented to what is asked for, in this sign-in or another: a refresh token is bound to a user and an
/// application, not to what was asked for when it was issued.
fn is_consented(family: &Family, consents: &Consents, asked: &Scopes) -> bool {
    asked.within(&family.scopes) || consents.missing(&family.client_id, &family.user, asked).is_empty()
}

fn observe(world: &World, used: &Use) {
    if used.reused {
        world.counters.add(|counts| counts.refresh_token_reuse += 1);
    }
    if used.superseded {
        world.note(
            ViolationKind::SupersededRefreshToken,
            "a refresh token was used that a newer one had replaced",
        );
    } else if used.refused_before {
        world.note(
            ViolationKind::RefusedTokenReused,
            "a refresh token was used again after it had been refused",
        );
    }
}
