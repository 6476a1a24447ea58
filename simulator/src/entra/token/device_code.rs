//! The device-code grant (RFC 8628 §3.4).

use axum::response::Response;

use super::{SignedIn, TokenRequest};
use crate::critic::ViolationKind;
use crate::entra::error::EntraError;
use crate::entra::ledger::device::Poll;

/// AADSTS: nobody has decided yet.
const PENDING: u32 = 70_016;
/// AADSTS: the client polls in a loop.
const LOOP: u32 = 50_196;
/// AADSTS: the person said no.
const DECLINED: u32 = 70_017;
/// AADSTS: too late.
const EXPIRED: u32 = 70_019;
/// AADSTS: there is no such code.
const UNKNOWN: u32 = 70_018;

/// Answers a poll.
pub(super) fn answer(request: &TokenRequest<'_>) -> Result<Response, EntraError> {
    let TokenRequest { world, tenant, form, claims } = request;
    let app = form.authenticated_app(world, tenant)?;
    // Entra wants the code as `device_code`; old clients send it as `code`.
    let code = form
        .get("device_code")
        .or_else(|| form.get("code"))
        .ok_or_else(|| EntraError::missing("device_code"))?;
    let switches = world.switches().device;
    let now = world.clock.now_ms();
    let (poll, fast) = world.entra.ledger().poll_device(code, &app.client_id, &switches, &world.users, now);
    if fast {
        world.note(
            ViolationKind::DeviceCodePolledTooFast,
            "a device code was polled before its interval had passed",
        );
    }
    match poll {
        Poll::Approved(user, scopes) => {
            let mut ledger = world.entra.ledger();
            ledger.consents.allow(&app.client_id, &user, &scopes);
            let refresh_token = scopes.has("offline_access").then(|| {
                let family = ledger.begin_family(&app.client_id, user.clone(), scopes.clone());
                ledger.issue_refresh(family, None, now)
            });
            drop(ledger);
            Ok(request.grant(SignedIn {
                client_id: &app.client_id,
                user: &user,
                scopes: &scopes,
                refresh_token,
                nonce: None,
                challengeable: claims.challengeable,
                not_before: Some(world.clock.now_seconds()),
            }))
        }
        Poll::Pending => Err(EntraError::of(PENDING)),
        Poll::SlowDown => Err(EntraError::of(PENDING)
            .called("slow_down")
            .saying("OAuth 2.0 device flow error. Poll less often.")),
        Poll::Loop => Err(EntraError::of(LOOP)),
        Poll::Declined => Err(EntraError::of(DECLINED)),
        Poll::Expired => Err(EntraError::of(EXPIRED)),
        Poll::Unknown => Err(EntraError::of(UNKNOWN)),
    }
}
