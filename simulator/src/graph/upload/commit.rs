//! The end of a session: its content is stored.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::super::conditions::{check_quota, conflict, refused};
use super::super::error::GraphError;
use super::super::items::written;
use super::super::put_content::Destination;
use super::super::route::ItemRef;
use super::super::{Call, timestamp};
use super::session::Session;
use crate::drive::Drive;
use crate::drive::item::{Slot, SnapshotKind};
use crate::drive::spec::DriveKind;
use crate::drive::writes::Conflict;
use crate::faults::{FaultKind, Hits};
use crate::json;
use crate::quick_xor;
use crate::world::World;

/// Stores what a session has received.
pub(super) async fn store(
    world: &World,
    token: &str,
    session: &Session,
    hits: &Hits,
) -> Result<Response, GraphError> {
    if hits.has(&FaultKind::UploadFinal409) {
        return Err(GraphError::name_taken());
    }
    let drive = world.drive_at(session.drive).ok_or_else(super::unknown)?;
    let (slot, created) = put(world, token, &drive, session)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    if world.switches().uploads.final_empty_body {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        return Ok(response);
    }
    Ok(json::response(status, &described(&drive, slot).await?))
}

fn put(world: &World, token: &str, drive: &Drive, session: &Session) -> Result<(Slot, bool), GraphError> {
    if session.misaligned {
        world.uploads.remove(token);
        return Err(GraphError::invalid_request("The fragments could not be assembled."));
    }
    // What the session has received is counted already.
    check_quota(world, drive, 0, session.destination.replaced_bytes(drive, session.conflict))?;
    let made = session.destination.put(world, drive, session.received.clone(), session.conflict);
    let (slot, created) = made.map_err(|error| refused(&error))?;
    drive.tree().set_times(slot, session.times.0, session.times.1);
    world.uploads.remove(token);
    world.changed();
    Ok((slot, created))
}

/// What the last chunk is answered with: there is no caller whose links it could carry.
async fn described(drive: &Arc<Drive>, slot: Slot) -> Result<serde_json::Value, GraphError> {
    let item = drive.tree().snapshot(slot).ok_or_else(GraphError::item_not_found)?;
    let item = drive.hashed(vec![item]).await.pop().ok_or_else(GraphError::item_not_found)?;
    let (kind, ids) = (drive.ids.kind(), &drive.ids);
    let time = |seconds: u32, claimed: Option<u64>| {
        timestamp::write(kind, claimed.unwrap_or(u64::from(seconds) * 1_000))
    };
    let extra = item.extra.as_deref();
    let (hash, c_tag) = match item.kind {
        SnapshotKind::File { content_version, quick_xor } => {
            (quick_xor.map(quick_xor::encode), ids.c_tag(slot, content_version))
        }
        SnapshotKind::Folder { .. } | SnapshotKind::Opaque => (None, String::new()),
    };
    Ok(json!({
        "id": ids.item(slot),
        "name": &*item.name,
        "size": item.size,
        "eTag": ids.e_tag(slot, item.version),
        "cTag": c_tag,
        "createdDateTime": time(item.created, None),
        "lastModifiedDateTime": time(item.modified, None),
        "parentReference": {"driveId": ids.drive(), "driveType": kind.as_str(), "id": ids.item(item.parent)},
        "file": {
            "mimeType": crate::drive::names::mime_type(&item.name),
            "hashes": hash.map_or_else(|| json!({}), |hash| json!({"quickXorHash": hash})),
        },
        "fileSystemInfo": {
            "createdDateTime": time(item.created, extra.and_then(|extra| extra.created_ms)),
            "lastModifiedDateTime": time(item.modified, extra.and_then(|extra| extra.modified_ms)),
        },
    }))
}

/// `POST {uploadUrl}` of length zero: the content of a session with `deferCommit` is stored.
pub(super) async fn deferred(
    world: &World,
    token: &str,
    body: &Bytes,
    hits: &Hits,
) -> Result<Response, GraphError> {
    let session = world.uploads.get(token).ok_or_else(super::unknown)?;
    if session.kind == DriveKind::Personal {
        return Err(GraphError::not_supported());
    }
    if !body.is_empty() || !session.is_complete() {
        return Err(GraphError::invalid_request("The upload is not complete.").expecting(session.missing()));
    }
    store(world, token, &session, hits).await
}

#[derive(Deserialize)]
struct BySource {
    name: Option<String>,
    #[serde(rename = "@microsoft.graph.conflictBehavior", alias = "@name.conflictBehavior")]
    conflict: Option<String>,
    #[serde(rename = "@microsoft.graph.sourceUrl", alias = "@content.sourceUrl")]
    source: String,
}

/// `PUT …/root:/{path}` with `@microsoft.graph.sourceUrl`: the content of a complete session goes to this name.
pub(in crate::graph) async fn by_source(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let asked: BySource = call.json()?;
    let token = asked.source.rsplit('/').next().unwrap_or_default();
    let session = call.world.uploads.get(token).filter(|session| session.drive == drive.index);
    let mut session = session.ok_or_else(super::unknown)?;
    session.check_life(call.world)?;
    if !session.is_complete() {
        return Err(GraphError::invalid_request("The upload is not complete."));
    }
    session.conflict = conflict(call, asked.conflict.as_deref(), Conflict::Replace)?;
    session.destination = Destination::of(call, drive, wanted, asked.name.as_deref())?;
    let (slot, created) = put(call.world, token, drive, &session)?;
    written(call, drive, slot, if created { StatusCode::CREATED } else { StatusCode::OK }).await
}
