//! `GET …/items/{id}` and `GET …/root:/{path}` (graph-behaviour §1.1, §3).

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::error::GraphError;
use super::item_json::Writer;
use super::route::{Base, ItemRef};
use super::{Call, special};
use crate::drive::Drive;
use crate::drive::item::{Facet, ROOT, Slot, Snapshot};
use crate::json;

/// Most children that `$expand=children` lists.
const MAX_EXPANDED: usize = 200;

/// Describes an item; 304 when the client has this version already.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    let (item, path) = find(call, drive, wanted)?;
    let known = call.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(drive.ids.e_tag(item.slot, item.version).as_str()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let slot = item.slot;
    let mut members = describe(call, drive, item, &path).await?;
    if call.query.get("expand").is_some_and(|expand| expand.contains("children")) {
        let children = expanded(call, drive, slot, &path).await;
        members.insert("children".to_owned(), Value::from(children));
    }
    Ok(json::response(StatusCode::OK, &members))
}

async fn expanded(call: &Call<'_>, drive: &Arc<Drive>, folder: Slot, path: &[String]) -> Vec<Value> {
    let children: Vec<Snapshot> = {
        let tree = drive.tree();
        let slots = tree.children(folder).iter().take(MAX_EXPANDED);
        slots.filter_map(|slot| tree.snapshot(*slot)).collect()
    };
    let children = drive.hashed(children).await;
    let writer = Writer::new(call, drive, None);
    children.iter().map(|child| Value::from(writer.item(child, path).into_members())).collect()
}

/// The members of an item; `path` are the names from below the root down to it.
async fn describe(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    item: Snapshot,
    path: &[String],
) -> Result<Map<String, Value>, GraphError> {
    let item = drive.hashed(vec![item]).await.pop().ok_or_else(GraphError::item_not_found)?;
    let above = path.split_last().map_or(&[][..], |(_, above)| above);
    let mut members = Writer::new(call, drive, call.query.get("select")).item(&item, above).into_members();
    let context =
        format!("{}/v1.0/$metadata#drives('{}')/items/$entity", call.world.bases.graph, drive.ids.drive());
    members.insert("@odata.context".to_owned(), Value::from(context));
    Ok(members)
}

/// An item as the answer to a write.
pub(super) async fn written(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    slot: Slot,
    status: StatusCode,
) -> Result<Response, GraphError> {
    let (item, path) = {
        let tree = drive.tree();
        (tree.snapshot(slot).ok_or_else(GraphError::item_not_found)?, tree.path(slot))
    };
    Ok(json::response(status, &describe(call, drive, item, &path).await?))
}

/// The item an address names, whoever asks.
pub(super) fn locate(drive: &Drive, wanted: &ItemRef) -> Option<Slot> {
    let tree = drive.tree();
    let base = match &wanted.base {
        Base::Root => ROOT,
        Base::Id(id) => drive.ids.slot(id)?,
        Base::Special(name) => special::known(&tree, name)?,
    };
    wanted.path.iter().try_fold(base, |at, name| tree.child(at, name))
}

/// The item an address names, and the names from below the root down to it.
pub(super) fn find(
    call: &Call<'_>,
    drive: &Drive,
    wanted: &ItemRef,
) -> Result<(Snapshot, Vec<String>), GraphError> {
    if let Base::Special(name) = &wanted.base {
        special::ensure(call, drive, name)?;
    }
    let slot = locate(drive, wanted).ok_or_else(GraphError::item_not_found)?;
    let switches = call.world.switches().graph;
    let tree = drive.tree();
    let item = tree.snapshot(slot).ok_or_else(GraphError::item_not_found)?;
    let path = tree.path(slot);
    let unseen = call.is_fresh(&tree, slot, switches.visibility_lag_milliseconds);
    let other_case = !switches.case_insensitive_paths && !path.ends_with(&wanted.path);
    if unseen || other_case || tree.is_locked_away(slot) {
        return Err(GraphError::item_not_found());
    }
    Ok((item, path))
}

/// Refuses to look into a vault that is locked (graph-behaviour §1.3).
pub(super) fn check_open(folder: &Snapshot) -> Result<(), GraphError> {
    if matches!(folder.facet(), Some(Facet::Vault { locked: true })) {
        return Err(GraphError::invalid_request("ObjectHandle is Invalid"));
    }
    Ok(())
}

/// Whether an item is a shortcut into another drive.
pub(super) fn is_shortcut(item: &Snapshot) -> bool {
    matches!(item.facet(), Some(Facet::Remote { .. }))
}

/// Whether shortcuts are left out of lists (graph-behaviour §2.6).
pub(super) fn hides_shortcuts(call: &Call<'_>) -> bool {
    call.world.switches().graph.remote_item_requires_prefer && !call.prefers("Include-Feature=AddToOneDrive")
}
