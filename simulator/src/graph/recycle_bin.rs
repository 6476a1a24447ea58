//! The recycle bin: `GET …/special/recyclebin/children`, `POST …/items/{id}/restore` and `…/permanentDelete` (graph-behaviour §3, §12).
//!
//! Assumptions, because no page of the specification says them: a restored item has its old id, older versions of restored files are
//! gone, and personal drives restore although they list nothing.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::conditions::{check_name, check_version, refused};
use super::error::GraphError;
use super::item_json::Writer;
use super::items::{find, written};
use super::route::{Base, ItemRef};
use super::update::Parent;
use super::{Call, no_content};
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::Slot;
use crate::drive::spec::DriveKind;
use crate::json;

/// The special folder that is none.
const NAME: &str = "recyclebin";

/// Whether an address means the bin.
pub(super) fn is_meant(item: &ItemRef) -> bool {
    item.path.is_empty() && matches!(&item.base, Base::Special(name) if name.eq_ignore_ascii_case(NAME))
}

/// Lists what was deleted, the latest first.
pub(super) async fn list(call: &Call<'_>, drive: &Arc<Drive>) -> Result<Response, GraphError> {
    if drive.ids.kind() == DriveKind::Personal {
        return Err(GraphError::invalid_request("The recycle bin of a personal drive cannot be listed."));
    }
    let binned = drive.tree().binned();
    let binned = drive.hashed(binned).await;
    let writer = Writer::new(call, drive, call.query.get("select"));
    let value = binned.iter().map(|item| {
        let above = drive.tree().path(item.parent);
        let mut members = writer.item(item, &above).into_members();
        // What is deleted has no content to be had.
        members.remove("@microsoft.graph.downloadUrl");
        Value::from(members)
    });
    let value: Vec<Value> = value.collect();
    Ok(json::response(StatusCode::OK, &json!({"value": value})))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restore {
    parent_reference: Option<Parent>,
    name: Option<String>,
}

/// Puts a deleted item back.
pub(super) async fn restore(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let asked: Restore = if call.body.is_empty() { Restore::default() } else { call.json()? };
    let slot = binned(drive, wanted).ok_or_else(GraphError::item_not_found)?;
    let parent = asked.parent_reference.as_ref().map(|parent| parent.slot(drive)).transpose()?;
    let name = asked.name.as_deref();
    if let Some(name) = name {
        let was_in = drive.tree().any(slot).map_or(slot, |item| item.parent);
        check_name(drive, parent.unwrap_or(was_in), name)?;
    }
    let how = call.world.circumstances();
    drive.change(how, |tree| tree.restore(slot, parent, name)).map_err(|error| refused(&error))?;
    call.world.changed();
    written(call, drive, slot, StatusCode::OK).await
}

/// Deletes an item for good, alive or in the bin.
pub(super) fn delete(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    if drive.ids.kind() == DriveKind::Personal {
        return Err(GraphError::unsupported("Permanent deletion is not supported for personal drives."));
    }
    call.check_lock()?;
    if binned(drive, wanted).is_some_and(|slot| drive.tree().purge(slot)) {
        return Ok(no_content());
    }
    let (item, _) = find(call, drive, wanted)?;
    check_version(call, drive, &item)?;
    let how = call.world.circumstances();
    let made = drive.change(how, |tree| tree.delete(item.slot, how.announce_all));
    made.map_err(|error: ChangeError| refused(&error))?;
    call.world.changed();
    Ok(no_content())
}

/// The deleted item of an id.
fn binned(drive: &Drive, wanted: &ItemRef) -> Option<Slot> {
    let Base::Id(id) = &wanted.base else { return None };
    let slot = drive.ids.slot(id).filter(|_| wanted.path.is_empty())?;
    drive.tree().binned().iter().any(|item| item.slot == slot).then_some(slot)
}
