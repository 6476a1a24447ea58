//! `GET …/items/{id}/content`: the way to a download link (graph-behaviour §4.1).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Call;
use super::download::{Links, What};
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use crate::drive::Drive;
use crate::drive::item::{Facet, SnapshotKind};

/// Redirects to a link that needs no bearer token; 304 when the client has this content already.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let (item, _) = find(call, drive, wanted)?;
    let SnapshotKind::File { content_version, .. } = item.kind else {
        return Err(GraphError::invalid_request("You cannot get content for a folder."));
    };
    let infected = matches!(item.facet(), Some(Facet::Malware));
    // rclone's `--onedrive-av-override`.
    let wanted_all_the_same = call.query.get("AVOverride") == Some("1");
    if infected && !wanted_all_the_same {
        return Ok(super::download::infected(call.world));
    }
    let known = call.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let tags = [drive.ids.e_tag(item.slot, item.version), drive.ids.c_tag(item.slot, content_version)];
    if known.is_some_and(|known| tags.iter().any(|tag| tag == known)) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let mut response = StatusCode::FOUND.into_response();
    let links = Links::new(call.world, &call.caller, drive);
    let what = match call.query.get("format") {
        None if infected => What::Infected,
        None => What::Present,
        Some("pdf") => What::Pdf,
        // What the service says to formats it does not know is an assumption.
        Some(_) => return Err(GraphError::invalid_request("The format is not supported.")),
    };
    if let Ok(value) = HeaderValue::try_from(links.to(item.slot, what)) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}
