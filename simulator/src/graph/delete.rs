//! `DELETE …/items/{id}` and `POST …/items/{id}/permanentDelete` (graph-behaviour §3).

use axum::response::Response;

use super::conditions::{check_version, refused};
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use super::{Call, no_content};
use crate::drive::Drive;
use crate::drive::spec::DriveKind;

/// Deletes an item and everything below it.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    call.check_lock()?;
    let (item, _) = find(call, drive, wanted)?;
    check_version(call, drive, &item)?;
    let how = call.world.circumstances();
    drive.change(how, |tree| tree.delete(item.slot, how.announce_all)).map_err(|error| refused(&error))?;
    call.world.changed();
    Ok(no_content())
}

/// Deletes an item for good. There is no recycle bin here, so that nothing else differs.
pub(super) fn permanently(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    if drive.ids.kind() == DriveKind::Personal {
        return Err(GraphError::unsupported("Permanent deletion is not supported for personal drives."));
    }
    answer(call, drive, wanted)
}
