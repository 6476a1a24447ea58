//! Sharing: `POST …/createLink` and `/shares/{u!…}` (graph-behaviour §1.1).

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::access::Caller;
use super::error::GraphError;
use super::items::find;
use super::route::{Base, ItemRef, Target};
use super::{Call, permissions, sites};
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::Slot;
use crate::json;
use crate::world::World;

/// What an encoded address begins with.
const ENCODED_URL: &str = "u!";

/// Shares an item with everybody of the tenant, for reading.
pub(super) fn create_link(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let (item, _) = find(call, drive, wanted)?;
    let made = drive.change(call.world.circumstances(), |tree| {
        tree.share(item.slot);
        Ok::<_, ChangeError>(())
    });
    made.map_err(|error| super::conditions::refused(&error))?;
    call.world.changed();
    let link = permissions::link(&web_url(call.world, drive, item.slot));
    Ok(json::response(StatusCode::CREATED, &link))
}

/// The address people find an item under.
pub(super) fn web_url(world: &World, drive: &Drive, slot: Slot) -> String {
    let path = drive.tree().path(slot);
    path.iter().fold(sites::web_url(world, drive), |url, name| {
        format!("{url}/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
    })
}

/// The drive of a sharing token, and the target seen from its root.
pub(super) fn open(
    world: &World,
    caller: &Caller,
    token: &str,
    target: Target,
) -> Result<(Arc<Drive>, Target), GraphError> {
    let invalid = || GraphError::invalid_request("The sharing token is not valid.");
    let encoded = token.strip_prefix(ENCODED_URL).ok_or_else(invalid)?;
    let url = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok().ok_or_else(invalid)?;
    let url = String::from_utf8(url).ok().ok_or_else(invalid)?;
    let (drive, slot) = named(world, &url).ok_or_else(GraphError::item_not_found)?;
    if drive.owner.tid != caller.tid || !(caller.owns(&drive) || drive.tree().is_shared(slot)) {
        return Err(GraphError::access_denied());
    }
    let shared = Base::Id(drive.ids.item(slot));
    let from_there = |item: ItemRef| match item.base {
        Base::Root => ItemRef { base: shared.clone(), ..item },
        Base::Id(_) | Base::Special(_) => item,
    };
    let target = match target {
        Target::Drive => Target::Drive,
        Target::Item(item) => Target::Item(from_there(item)),
        Target::Children(item) => Target::Children(from_there(item)),
        Target::Content(item) => Target::Content(from_there(item)),
        Target::Delta { item, token } => Target::Delta { item: from_there(item), token },
        Target::Action(item, action) => Target::Action(from_there(item), action),
        Target::Search(item, text) => Target::Search(from_there(item), text),
        Target::Versions(item, version) => Target::Versions(from_there(item), version),
        Target::SharedWithMe => return Err(GraphError::not_supported()),
    };
    Ok((drive, target))
}

/// The item that people find under an address.
fn named(world: &World, url: &str) -> Option<(Arc<Drive>, Slot)> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    world.drives().into_iter().find_map(|drive| {
        let rest = url.strip_prefix(&sites::web_url(world, &drive))?;
        let names = rest.split('/').filter(|name| !name.is_empty());
        let path = names.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
        let item = ItemRef { base: Base::Root, path: path.collect() };
        let slot =
            (rest.is_empty() || rest.starts_with('/')).then(|| super::items::locate(&drive, &item))??;
        Some((drive, slot))
    })
}
