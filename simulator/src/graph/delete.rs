//! `DELETE …/items/{id}` (graph-behaviour §3): into the recycle bin.

use axum::response::Response;

use super::conditions::{check_version, refused};
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use super::{Call, no_content};
use crate::drive::Drive;

/// Deletes an item and everything below it.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    call.check_lock()?;
    let (item, _) = find(call, drive, wanted)?;
    check_version(call, drive, &item)?;
    let how = call.world.circumstances();
    drive.change(how, |tree| tree.recycle(item.slot, how.announce_all)).map_err(|error| refused(&error))?;
    call.world.changed();
    Ok(no_content())
}
