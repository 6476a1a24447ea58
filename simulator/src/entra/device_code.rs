//! `POST /{tenant}/oauth2/v2.0/devicecode` (RFC 8628 §3.1, graph-behaviour §9.1).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::TenantRef;
use super::client::Form;
use super::error::EntraError;
use super::scopes::Scopes;
use crate::json;
use crate::world::World;

/// Issues a device code.
pub(super) fn answer(world: &World, tenant: &TenantRef, form: &Form) -> Result<Response, EntraError> {
    let app = form.app(world)?;
    let scopes = Scopes::parse(form.require("scope")?)?;
    let switches = world.switches().device;
    let now = world.clock.now_ms();
    let (device_code, user_code) =
        world.entra.ledger().issue_device(&app.client_id, tenant.clone(), scopes, &switches, now);
    let verification_uri = format!("{}/devicelogin", world.bases.authority);
    let message = format!(
        "To sign in, use a web browser to open the page {verification_uri} and enter the code {user_code} to authenticate."
    );
    Ok(json::response(
        StatusCode::OK,
        &json!({
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": verification_uri,
            "expires_in": switches.expires_seconds,
            "interval": switches.interval_seconds,
            "message": message,
        }),
    ))
}
