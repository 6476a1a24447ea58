//! `PATCH …/items/{id}`: names, places, times (graph-behaviour §3).

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::conditions::{check_name, check_version, conflict, refused};
use super::error::GraphError;
use super::items::{find, locate, written};
use super::route::{Base, ItemRef};
use super::{Call, timestamp};
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::{Item, ROOT, Slot};
use crate::drive::spec::DriveKind;
use crate::drive::tree::Place;
use crate::drive::writes::Conflict;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    name: Option<String>,
    parent_reference: Option<Parent>,
    file_system_info: Option<Times>,
    #[serde(rename = "@microsoft.graph.conflictBehavior")]
    conflict: Option<String>,
}

/// A folder, by id or by path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parent {
    pub(super) drive_id: Option<String>,
    id: Option<String>,
    path: Option<String>,
}

/// `fileSystemInfo`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Times {
    created_date_time: Option<String>,
    last_modified_date_time: Option<String>,
}

impl Times {
    /// Created and last modified, in milliseconds since the Unix epoch.
    pub(super) fn read(&self) -> Result<(Option<u64>, Option<u64>), GraphError> {
        let read = |text: &Option<String>| {
            let time = text.as_deref().map(timestamp::parse);
            let invalid = || GraphError::invalid_request("A time of fileSystemInfo is not valid.");
            time.map(|time| time.ok_or_else(invalid)).transpose()
        };
        Ok((read(&self.created_date_time)?, read(&self.last_modified_date_time)?))
    }
}

impl Parent {
    /// The folder that is meant.
    pub(super) fn slot(&self, drive: &Drive) -> Result<Slot, GraphError> {
        let wanted = match (&self.id, &self.path) {
            (Some(id), _) if id == "root" => return Ok(ROOT),
            (Some(id), _) => ItemRef { base: Base::Id(id.clone()), path: Vec::new() },
            (None, Some(path)) => {
                let below = path.split_once("root:").map_or(path.as_str(), |(_, below)| below);
                let names = below.split('/').filter(|name| !name.is_empty());
                let names = names
                    .map(|name| percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned());
                ItemRef { base: Base::Root, path: names.collect() }
            }
            (None, None) => return Ok(ROOT),
        };
        let slot = locate(drive, &wanted).filter(|slot| drive.tree().get(*slot).is_some());
        slot.ok_or_else(GraphError::item_not_found)
    }
}

/// Changes an item.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let asked: Update = call.json()?;
    let conflict = conflict(call, asked.conflict.as_deref(), Conflict::Fail)?;
    let (item, _) = find(call, drive, wanted)?;
    check_version(call, drive, &item)?;
    let elsewhere = |parent: &Parent| {
        let other = parent.drive_id.as_deref().and_then(|id| call.world.drive(id));
        parent.drive_id.is_some() && other.is_none_or(|other| other.index != drive.index)
    };
    if asked.parent_reference.as_ref().is_some_and(elsewhere) {
        return Err(GraphError::invalid_request(
            "Moving an item to another drive is not supported; copy it.",
        ));
    }
    let parent = asked.parent_reference.as_ref().map(|parent| parent.slot(drive)).transpose()?;
    let (parent, name) = (parent.unwrap_or(item.parent), asked.name.as_deref().unwrap_or(&item.name));
    let moves = parent != item.parent || *name != *item.name;
    if moves {
        check_name(drive, parent, name)?;
    }
    let times = asked.file_system_info.unwrap_or_default().read()?;
    let how = call.world.circumstances();
    let made = drive.change(how, |tree| {
        if moves {
            let at = Place { parent, name };
            let taken = tree.child(parent, name).filter(|taken| *taken != item.slot);
            match (taken, conflict) {
                (Some(_), Conflict::Rename) => {
                    let name = tree.free_name(&at)?;
                    tree.relocate(item.slot, &Place { parent, name: &name })?;
                }
                (Some(taken), Conflict::Replace) if tree.get(taken).is_some_and(Item::is_file) => {
                    tree.delete(taken, how.announce_all)?;
                    tree.relocate(item.slot, &at)?;
                }
                (None | Some(_), _) => tree.relocate(item.slot, &at)?,
            }
            call.appeared(tree, item.slot);
        } else {
            tree.touch(item.slot);
        }
        // Another time of modification is another version, but not of personal drives (graph-behaviour §5.3).
        if times.1.is_some() && drive.ids.kind() != DriveKind::Personal {
            tree.archive_times(item.slot);
        }
        tree.set_times(item.slot, times.0, times.1);
        Ok::<_, ChangeError>(())
    });
    made.map_err(|error| refused(&error))?;
    call.world.changed();
    written(call, drive, item.slot, StatusCode::OK).await
}
