//! The device-code grant (RFC 8628 §3.4).

use axum::response::Response;

use super::for_user;
use crate::critic::ViolationKind;
use crate::entra::client::Form;
use crate::entra::error::EntraError;
use crate::entra::ledger::device::Poll;
use crate::world::World;

/// Answers a poll.
pub(super) fn answer(world: &World, form: &Form) -> Result<Response, EntraError> {
    let app = form.authenticated_app(world)?;
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
    let error = |error: &str, aadsts: u32, text: &str| Err(EntraError::plain(400, error, aadsts, text));
    match poll {
        Poll::Approved(user, scopes) => {
            let mut ledger = world.entra.ledger();
            let refresh = scopes.has("offline_access").then(|| {
                let family = ledger.begin_family(&app.client_id, user.clone(), scopes.clone());
                ledger.issue_refresh(family, None, now)
            });
            drop(ledger);
            Ok(for_user(world, &app.client_id, &user, &scopes, refresh))
        }
        Poll::Pending => error(
            "authorization_pending",
            70_016,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        ),
        Poll::SlowDown => error("slow_down", 70_016, "OAuth 2.0 device flow error. Poll less often."),
        Poll::Loop => Err(EntraError::invalid_grant(50_196)),
        Poll::Declined => {
            error("authorization_declined", 70_017, "OAuth 2.0 device flow error. The user declined.")
        }
        Poll::Expired => error("expired_token", 70_019, "Verification code expired. Sign in again."),
        Poll::Unknown => error("bad_verification_code", 70_018, "Invalid verification code."),
    }
}
