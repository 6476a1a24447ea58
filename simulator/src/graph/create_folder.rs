//! `POST …/items/{id}/children` (graph-behaviour §3).

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::conditions::{check_name, conflict, refused};
use super::error::GraphError;
use super::items::{check_open, find, written};
use super::route::ItemRef;
use super::{Call, update};
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::Item;
use crate::drive::tree::Place;
use crate::drive::writes::Conflict;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewFolder {
    name: String,
    folder: Option<Value>,
    #[serde(rename = "@microsoft.graph.conflictBehavior")]
    conflict: Option<String>,
    file_system_info: Option<update::Times>,
}

/// Makes a folder.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let asked: NewFolder = call.json()?;
    if asked.folder.is_none() {
        return Err(GraphError::invalid_request(
            "Only folders can be created here; upload a content instead.",
        ));
    }
    let conflict = conflict(call, asked.conflict.as_deref(), Conflict::Fail)?;
    let (parent, _) = find(call, drive, wanted)?;
    check_open(&parent)?;
    check_name(drive, parent.slot, &asked.name)?;
    let times = asked.file_system_info.unwrap_or_default().read()?;
    let how = call.world.circumstances();
    let switches = call.world.switches().graph;
    let at = Place { parent: parent.slot, name: &asked.name };
    let made = drive.change(how, |tree| {
        let taken = tree.child(at.parent, at.name);
        let slot = match (taken, conflict) {
            (None, _) => tree.create_folder(&at, how.now)?,
            (Some(_), Conflict::Rename) => {
                let name = tree.free_name(&at)?;
                tree.create_folder(&Place { parent: at.parent, name: &name }, how.now)?
            }
            // Replacing a folder leaves it and what is in it.
            (Some(there), Conflict::Replace) if tree.get(there).is_some_and(Item::is_folder) => {
                return Ok((there, StatusCode::OK));
            }
            (Some(_), Conflict::Fail | Conflict::Replace) => return Err(ChangeError::NameTaken),
        };
        tree.set_times(slot, times.0, times.1);
        call.appeared(tree, slot);
        Ok((slot, if switches.mkdir_answers_200 { StatusCode::OK } else { StatusCode::CREATED }))
    });
    let (slot, status) = made.map_err(|error| refused(&error))?;
    call.world.changed();
    if switches.mkdir_empty_body {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        return Ok(response);
    }
    written(call, drive, slot, status).await
}
