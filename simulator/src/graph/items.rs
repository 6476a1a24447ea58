//! `GET …/items/{id}` and `GET …/root:/{path}` (graph-behaviour §1.1, §3).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::Call;
use super::error::GraphError;
use super::item_json::Writer;
use super::route::ItemRef;
use crate::drive::Drive;
use crate::drive::item::{ROOT, Slot, Snapshot};
use crate::json;

/// Describes an item; 304 when the client has this version already.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let (item, path) = find(drive, wanted)?;
    let known = call.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(drive.ids.e_tag(item.slot, item.version).as_str()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let mut items = [item];
    drive.hash(&mut items);
    let [item] = items;
    let above = path.split_last().map_or(&[][..], |(_, above)| above);
    let mut members = Writer::new(call, drive, call.query.get("select")).item(&item, above).into_members();
    let context =
        format!("{}/v1.0/$metadata#drives('{}')/items/$entity", call.world.bases.graph, drive.ids.drive());
    members.insert("@odata.context".to_owned(), Value::from(context));
    Ok(json::response(StatusCode::OK, &members))
}

/// The item an address names, and the names from below the root down to it.
pub(super) fn find(drive: &Drive, wanted: &ItemRef) -> Result<(Snapshot, Vec<String>), GraphError> {
    let tree = drive.tree();
    let base: Option<Slot> = wanted.id.as_ref().map_or(Some(ROOT), |id| drive.ids.slot(id));
    let slot = base.and_then(|base| wanted.path.iter().try_fold(base, |at, name| tree.child(at, name)));
    let slot = slot.ok_or_else(GraphError::item_not_found)?;
    let item = tree.snapshot(slot).ok_or_else(GraphError::item_not_found)?;
    Ok((item, tree.path(slot)))
}
