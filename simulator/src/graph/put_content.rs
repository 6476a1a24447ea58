//! `PUT …/content`: a simple upload (graph-behaviour §5.1).

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;

use super::Call;
use super::conditions::{check_name, check_quota, check_version, conflict, refused};
use super::error::GraphError;
use super::items::{find, locate, written};
use super::limits::take_bytes;
use super::route::ItemRef;
use crate::content::ContentReader;
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::Slot;
use crate::drive::kept::Kept;
use crate::drive::names;
use crate::drive::spec::DriveKind;
use crate::drive::tree::Place;
use crate::drive::writes::Conflict;
use crate::throttle::Direction;
use crate::world::World;

/// What SharePoint adds to a file whose properties it writes into it; one to three bytes more, so that no two attempts agree.
const ENRICHMENT: [&str; 3] = ["<!--sp:1-->", "<!--sp:22-->", "<!--sp:333-->"];

/// Stores a content: that of an item, or of a name in a folder.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    call.check_lock()?;
    let conflict = conflict(call, None, Conflict::Replace)?;
    let length = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
    take_bytes(call.world, &call.caller.requester(), Direction::Ingress, length)?;
    call.world.counters.add(|counts| counts.bytes_received += length);
    let kept = call.world.room.keep(call.body.clone()).map_err(GraphError::no_room)?;
    let target = Destination::of(call, drive, wanted, None)?;
    check_quota(call.world, drive, length, target.replaced_bytes(drive, conflict))?;
    let (slot, created) = target.store(call, drive, kept, conflict)?;
    written(call, drive, slot, if created { StatusCode::CREATED } else { StatusCode::OK }).await
}

/// Where a content goes.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// Into this file.
    File(Slot),
    /// To a name in a folder.
    Name { parent: Slot, name: String },
}

impl Destination {
    /// Reads an address; `name` takes the place of its last name.
    pub(super) fn of(
        call: &Call<'_>,
        drive: &Drive,
        wanted: &ItemRef,
        name: Option<&str>,
    ) -> Result<Self, GraphError> {
        let Some((last, above)) = wanted.path.split_last() else {
            let (item, _) = find(call, drive, wanted)?;
            if drive.content(&item).is_none() {
                return Err(GraphError::invalid_request("Only files have a content."));
            }
            check_version(call, drive, &item)?;
            return Ok(Self::File(item.slot));
        };
        // That a missing parent is 404 and is not made is an assumption: no page of the specification says either.
        let folder = ItemRef { base: wanted.base.clone(), path: above.to_vec() };
        let (parent, _) = find(call, drive, &folder)?;
        let name = name.unwrap_or(last).to_owned();
        check_name(drive, parent.slot, &name)?;
        let there = locate(drive, &ItemRef { path: [above, std::slice::from_ref(&name)].concat(), ..folder });
        let there = there.and_then(|slot| drive.tree().snapshot(slot));
        match there {
            Some(there) => check_version(call, drive, &there)?,
            None if call.headers.get("if-match").is_some() => return Err(GraphError::modified()),
            None => {}
        }
        Ok(Self::Name { parent: parent.slot, name })
    }

    /// Whether both are the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(another)) => one == another,
            (Self::Name { parent, name }, Self::Name { parent: other_parent, name: other_name }) => {
                parent == other_parent && names::same(name, other_name)
            }
            (Self::File(_), Self::Name { .. }) | (Self::Name { .. }, Self::File(_)) => false,
        }
    }

    /// Whether the name is taken.
    pub(super) fn is_taken(&self, drive: &Drive) -> bool {
        match self {
            Self::File(_) => true,
            Self::Name { parent, name } => drive.tree().child(*parent, name).is_some(),
        }
    }

    /// Bytes that storing a content here makes free.
    pub(super) fn replaced_bytes(&self, drive: &Drive, conflict: Conflict) -> u64 {
        let tree = drive.tree();
        let slot = match self {
            Self::File(slot) => Some(*slot),
            Self::Name { parent, name } => {
                tree.child(*parent, name).filter(|_| conflict == Conflict::Replace)
            }
        };
        slot.and_then(|slot| tree.get(slot)).map_or(0, |item| item.size)
    }

    /// Stores a content; true when that made a new file.
    pub(super) fn store(
        &self,
        call: &Call<'_>,
        drive: &Drive,
        kept: Kept,
        conflict: Conflict,
    ) -> Result<(Slot, bool), GraphError> {
        let (slot, created) = self.put(call.world, drive, kept, conflict).map_err(|error| refused(&error))?;
        if created {
            call.appeared(&mut drive.tree(), slot);
        }
        call.world.changed();
        Ok((slot, created))
    }

    /// Stores a content, whoever asks.
    pub(super) fn put(
        &self,
        world: &World,
        drive: &Drive,
        kept: Kept,
        conflict: Conflict,
    ) -> Result<(Slot, bool), ChangeError> {
        let how = world.circumstances();
        let name = match self {
            Self::File(slot) => drive.tree().get(*slot).map(|item| item.name.to_string()),
            Self::Name { name, .. } => Some(name.clone()),
        };
        let content = ContentReader::of_kept(enriched(world, drive, &name.unwrap_or_default(), kept));
        drive.change(how, |tree| match self {
            Self::File(slot) => tree.replace_content(*slot, content, how.now).map(|()| (*slot, false)),
            Self::Name { parent, name } => {
                tree.put(&Place { parent: *parent, name }, content, conflict, how.now)
            }
        })
    }
}

/// SharePoint rewrites some files when they are uploaded (graph-behaviour §5.3).
fn enriched(world: &World, drive: &Drive, name: &str, mut kept: Kept) -> Kept {
    let switches = world.switches().graph;
    let library = drive.ids.kind() == DriveKind::DocumentLibrary;
    if library && switches.enriched_name_ends.iter().any(|end| name.ends_with(end.as_str())) {
        let which = usize::try_from(drive.tree().sequence() % 3).unwrap_or_default();
        let more = ENRICHMENT.get(which).copied().unwrap_or_default();
        if let Ok(more) = world.room.keep(Bytes::from_static(more.as_bytes())) {
            kept.append(more);
        }
    }
    kept
}
