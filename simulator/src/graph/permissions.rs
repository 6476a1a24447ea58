//! `GET …/items/{id}/permissions` (graph-behaviour §3): the owner, and everybody when the item is shared.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Call;
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use crate::drive::Drive;
use crate::json;

/// Lists who may do what.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let (item, _) = find(call, drive, wanted)?;
    let owner = &drive.owner;
    let mut value = vec![json!({
        "id": format!("owner-{}", owner.oid),
        "roles": ["owner"],
        "grantedToV2": {"user": {"id": owner.oid, "displayName": owner.name}},
    })];
    if drive.tree().is_shared(item.slot) {
        value.push(link(&super::sharing::web_url(call.world, drive, item.slot)));
    }
    Ok(json::response(StatusCode::OK, &json!({"value": value})))
}

/// The permission of a sharing link.
pub(super) fn link(web_url: &str) -> Value {
    json!({
        "id": "link-view-organization",
        "roles": ["read"],
        "link": {"type": "view", "scope": "organization", "webUrl": web_url},
    })
}
