//! `POST …/createUploadSession`

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::conditions::{check_quota, conflict};
use super::super::error::GraphError;
use super::super::put_content::Destination;
use super::super::route::ItemRef;
use super::super::{Call, update};
use super::session::Session;
use crate::drive::Drive;
use crate::drive::kept::Kept;
use crate::drive::spec::MAX_FILE_BYTES;
use crate::drive::writes::Conflict;
use crate::json;

/// What the token in the address begins with.
const TOKEN_PREFIX: &str = "sim-up-";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    item: Properties,
    defer_commit: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    #[serde(rename = "@microsoft.graph.conflictBehavior", alias = "@name.conflictBehavior")]
    conflict: Option<String>,
    name: Option<String>,
    file_size: Option<u64>,
    file_system_info: Option<update::Times>,
}

/// Begins a session.
pub(in crate::graph) fn answer(
    call: &Call<'_>,
    drive: &Drive,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let asked: Wanted = if call.body.is_empty() { Wanted::default() } else { call.json()? };
    let conflict = conflict(call, asked.item.conflict.as_deref(), Conflict::Replace)?;
    let destination = Destination::of(call, drive, wanted, asked.item.name.as_deref())?;
    match asked.item.file_size {
        Some(0) => return Err(GraphError::invalid_request("An empty file is uploaded without a session.")),
        Some(size) if size > MAX_FILE_BYTES => return Err(GraphError::of_status(413, None)),
        Some(size) => check_quota(call.world, drive, size, destination.replaced_bytes(drive, conflict))?,
        None => {}
    }
    if conflict == Conflict::Fail && destination.is_taken(drive) {
        return Err(GraphError::name_taken());
    }
    let world = call.world;
    let (switches, now_ms) = (world.switches().uploads, world.clock.now_ms());
    world.uploads.sweep(&switches, now_ms);
    if switches.refuse_second_session && world.uploads.is_being_uploaded(drive.index, &destination) {
        let message = "An upload session already exists for this file.";
        return Err(GraphError::with_inner(409, "nameAlreadyExists", "uploadInProgress", message));
    }
    let session = Session {
        drive: drive.index,
        requester: call.caller.requester(),
        kind: drive.ids.kind(),
        destination,
        conflict,
        total: asked.item.file_size,
        received: Kept::default(),
        deferred: asked.defer_commit,
        misaligned: false,
        times: asked.item.file_system_info.unwrap_or_default().read()?,
        began_ms: now_ms,
        touched_ms: now_ms,
    };
    let token = format!("{TOKEN_PREFIX}{}", world.secret());
    let mut body = super::status(world, &session);
    if !world.uploads.add(token.clone(), session) {
        return Err(GraphError::of_status(503, None));
    }
    if let Some(members) = body.as_object_mut() {
        let address = format!("{}{}{token}", world.bases.downloads, super::PATH);
        members.insert("uploadUrl".to_owned(), Value::from(address));
        members.insert("nextExpectedRanges".to_owned(), json!(["0-"]));
    }
    Ok(json::response(StatusCode::OK, &body))
}
