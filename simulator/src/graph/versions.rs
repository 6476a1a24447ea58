//! `…/items/{id}/versions` (graph-behaviour §3): list, content, delete.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::download::{Links, What};
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use super::{Call, no_content, timestamp};
use crate::drive::Drive;
use crate::drive::item::SnapshotKind;
use crate::drive::spec::DriveKind;
use crate::drive::versions::Version;
use crate::json;

/// What the ids of versions end with: `2.0` is the second.
const MINOR: &str = ".0";

fn number(id: &str) -> Option<u32> {
    id.strip_suffix(MINOR).unwrap_or(id).parse().ok()
}

fn unknown() -> GraphError {
    GraphError::not_found("The version does not exist.")
}

/// Lists the versions of a file, the present one first. Versions have no hashes (§1.4).
pub(super) fn list(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let (item, _) = find(call, drive, wanted)?;
    if !matches!(item.kind, SnapshotKind::File { .. }) {
        return Err(GraphError::invalid_request("Only files have versions."));
    }
    let owner = &drive.owner;
    let written = |version: &Version| {
        let modified = timestamp::write(drive.ids.kind(), u64::from(version.modified) * 1_000);
        json!({
            "id": format!("{}{MINOR}", version.number),
            "size": version.size,
            "lastModifiedDateTime": modified,
            "lastModifiedBy": {"user": {"id": owner.oid, "displayName": owner.name}},
        })
    };
    let value: Vec<Value> = drive.tree().versions(item.slot).iter().map(written).collect();
    Ok(json::response(StatusCode::OK, &json!({"value": value})))
}

/// Redirects to the content of a version.
pub(super) fn content(
    call: &Call<'_>,
    drive: &Drive,
    wanted: &ItemRef,
    id: &str,
) -> Result<Response, GraphError> {
    let (item, _) = find(call, drive, wanted)?;
    let known = number(id).filter(|number| drive.version_content(item.slot, *number).is_some());
    let number = known.ok_or_else(unknown)?;
    let mut response = StatusCode::FOUND.into_response();
    let link = Links::new(call.world, &call.caller, drive).to(item.slot, What::Version(number));
    if let Ok(value) = HeaderValue::try_from(link) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Deletes an old version. Personal drives cannot; that they say 405 is an assumption.
pub(super) fn delete(
    call: &Call<'_>,
    drive: &Drive,
    wanted: &ItemRef,
    id: &str,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let (item, _) = find(call, drive, wanted)?;
    if drive.ids.kind() == DriveKind::Personal {
        return Err(GraphError::unsupported("Versions of personal drives cannot be deleted."));
    }
    let number = number(id).ok_or_else(unknown)?;
    if drive.tree().versions(item.slot).first().is_some_and(|present| present.number == number) {
        return Err(GraphError::invalid_request("The present version cannot be deleted."));
    }
    if drive.tree().delete_version(item.slot, number) { Ok(no_content()) } else { Err(unknown()) }
}
