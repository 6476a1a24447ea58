//! What a write has to keep: versions, names, the quota; and how a refused change is told (graph-behaviour §1.5, §3, §6).

use axum::http::header;

use super::Call;
use super::error::GraphError;
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::{ROOT, Slot, Snapshot};
use crate::drive::names;
use crate::drive::spec::DriveKind;
use crate::drive::writes::Conflict;
use crate::world::World;

/// Longest path of a business drive or library, in characters (graph-behaviour §1.5).
const MAX_PATH_CHARS: usize = 400;

/// The error of a change that was refused.
pub(super) fn refused(error: &ChangeError) -> GraphError {
    let message = error.to_string();
    match error {
        ChangeError::NotFound => GraphError::item_not_found(),
        ChangeError::NameTaken => GraphError::name_taken(),
        ChangeError::InvalidName(_) => invalid_name(),
        ChangeError::TooDeep => too_long(),
        ChangeError::NotAFile
        | ChangeError::NotAFolder
        | ChangeError::IntoItself
        | ChangeError::RootIsFixed => GraphError::invalid_request(&message),
    }
}

fn invalid_name() -> GraphError {
    let message = "The provided name cannot contain any of these characters, or is reserved.";
    GraphError::with_inner(400, "invalidRequest", "invalidResourceName", message)
}

fn too_long() -> GraphError {
    GraphError::with_inner(400, "invalidRequest", "pathIsTooLong", "The path is too long.")
}

/// Refuses a write to another version than the client knows (`If-Match`), or to something it expects not to be there
/// (`If-None-Match: *`).
pub(super) fn check_version(call: &Call<'_>, drive: &Drive, item: &Snapshot) -> Result<(), GraphError> {
    let header =
        |name| call.headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if header(header::IF_NONE_MATCH) == Some("*") {
        return Err(GraphError::modified());
    }
    let tag = drive.ids.e_tag(item.slot, item.version);
    match header(header::IF_MATCH) {
        Some(known) if known != "*" && known != tag && known.trim_matches('"') != tag.trim_matches('"') => {
            Err(GraphError::modified())
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a name that the service reserves, and a path that is too long.
pub(super) fn check_name(drive: &Drive, parent: Slot, name: &str) -> Result<(), GraphError> {
    let kind = drive.ids.kind();
    let in_library_root = kind == DriveKind::DocumentLibrary && parent == ROOT;
    if names::is_reserved(name) || (in_library_root && name.eq_ignore_ascii_case("forms")) {
        return Err(invalid_name());
    }
    let above = drive.tree().path(parent);
    let length: usize = above.iter().map(|name| name.chars().count() + 1).sum();
    if kind != DriveKind::Personal && length + name.chars().count() > MAX_PATH_CHARS {
        return Err(too_long());
    }
    Ok(())
}

/// Refuses what does not fit into the quota; `old` bytes become free.
pub(super) fn check_quota(world: &World, drive: &Drive, new: u64, old: u64) -> Result<(), GraphError> {
    let after = used_bytes(world, drive).saturating_sub(old).saturating_add(new);
    if after > world.switches().graph.quota_bytes { Err(GraphError::quota()) } else { Ok(()) }
}

/// Bytes that count to the quota: what is in the recycle bin (graph-behaviour §1.5) and what sessions have received (§5.2) does
/// too; that old versions do not is an assumption.
fn used_bytes(world: &World, drive: &Drive) -> u64 {
    let tree = drive.tree();
    let stored = tree.get(ROOT).map_or(0, |root| root.size).saturating_add(tree.binned_bytes());
    stored.saturating_add(world.uploads.received_bytes(drive.index, world))
}

/// What the client wants when a name is taken: from the address, else from the body.
pub(super) fn conflict(call: &Call<'_>, body: Option<&str>, usual: Conflict) -> Result<Conflict, GraphError> {
    let word = call.query.get("@microsoft.graph.conflictBehavior").or(body);
    word.map_or(Some(usual), Conflict::parse)
        .ok_or_else(|| GraphError::invalid_request("The conflict behavior is not valid."))
}
