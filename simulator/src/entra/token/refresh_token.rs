//! The refresh-token grant (RFC 6749 §6), with the rotation that is switched on.

use axum::response::Response;

use super::for_user;
use crate::critic::ViolationKind;
use crate::entra::TenantRef;
use crate::entra::client::Form;
use crate::entra::error::EntraError;
use crate::entra::ledger::refresh::Use;
use crate::entra::scopes::Scopes;
use crate::world::World;

/// Answers a refresh.
pub(super) fn answer(world: &World, tenant: &TenantRef, form: &Form) -> Result<Response, EntraError> {
    let app = form.authenticated_app(world)?;
    let token = form.require("refresh_token")?;
    let asked = form.get("scope").map(Scopes::parse).transpose()?;
    let switches = world.switches().tokens;
    let rules = (switches.rotation, switches.refresh_seconds.saturating_mul(1_000));
    let now = world.clock.now_ms();
    let used = world.entra.ledger().use_refresh(token, &app.client_id, rules, now);
    observe(world, &used);
    let (number, family) = used.outcome.map_err(EntraError::invalid_grant)?;
    if !tenant.admits(&family.user.tid) {
        return Err(EntraError::invalid_grant(70_000));
    }
    let scopes = match asked {
        Some(asked) if !asked.within(&family.scopes) => return Err(EntraError::invalid_grant(65_001)),
        Some(asked) => asked,
        None => family.scopes,
    };
    let successor = world.entra.ledger().issue_refresh(number, Some(token), now);
    world.counters.add(|counts| counts.refreshes += 1);
    Ok(for_user(world, &app.client_id, &family.user, &scopes, Some(successor)))
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
