//! `GET /me` and `GET /users/{id}`: as much as clients need to know who signed in.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Call;
use super::error::GraphError;
use crate::json;

/// Describes the signed-in user, or one by name.
pub(super) fn answer(call: &Call<'_>, name: Option<&str>) -> Result<Response, GraphError> {
    let name = match name {
        Some(name) => name,
        None => call.caller.oid.as_deref().ok_or_else(GraphError::no_user)?,
    };
    let user = call.world.user(name).filter(|user| user.tid == call.caller.tid);
    let user = user.ok_or_else(|| GraphError::not_found("The user does not exist."))?;
    let base = &call.world.bases.graph;
    Ok(json::response(
        StatusCode::OK,
        &json!({
            "@odata.context": format!("{base}/v1.0/$metadata#users/$entity"),
            "id": user.oid,
            "displayName": user.name,
            "userPrincipalName": user.upn,
            "mail": user.upn,
        }),
    ))
}
