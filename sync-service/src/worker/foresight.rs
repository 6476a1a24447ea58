//! Looks at what the actions of a plan would come upon at the destination, and what there would be room for.

use std::collections::{HashMap, HashSet};

use proto::sync::v1::{self as pb, FindingKind};

use super::file_state::expected;
use crate::{
    destination::{DestinationError, Entered, KeptReason, Names, Onlooker, Place},
    domain::free_space::FreeSpace,
    ops::report_outcomes::DESTINATION_FULL,
};

/// Things that leave folders, and folders in which something stays, that are remembered. With more, it is not said any more which
/// folders stay.
const MAX_REMEMBERED: usize = 1_000_000;

const MIB: u64 = 1024 * 1024;

/// A plan's view of the destination.
pub(super) struct Foresight {
    onlooker: Option<Onlooker>,
    space: FreeSpace,
    /// What would be left free if nothing were written.
    at_first: FreeSpace,
    /// Whether the bin has made way.
    bin_counted: bool,
    leftover: Leftover,
    departures: Departures,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, Default)]
struct Leftover {
    files: u64,
    bytes: u64,
}

/// What is known of the folders that would be deleted, by their paths as they are now.
#[derive(Default)]
struct Departures {
    folds_names: bool,
    /// What goes from a folder.
    leaving: HashMap<String, Names>,
    /// Folders in which something stays that is not the drive's.
    holding: HashSet<String>,
    remembered: usize,
}

impl Foresight {
    pub(super) fn new(onlooker: Option<Onlooker>, space: FreeSpace) -> Self {
        let folds_names = onlooker.as_ref().is_some_and(Onlooker::folds_names);
        Self {
            onlooker,
            space,
            at_first: space,
            bin_counted: false,
            leftover: Leftover::default(),
            departures: Departures { folds_names, ..Departures::default() },
        }
    }

    /// Whether the destination takes names that differ in case or Unicode form only for one. One that is still to be made is taken for
    /// one that tells them apart.
    pub(super) fn folds_names(&self) -> bool {
        self.departures.folds_names
    }

    /// One sentence about what there is no room for.
    pub(super) fn shortage(&self) -> Option<String> {
        let Leftover { files, bytes } = self.leftover;
        let plural = if files == 1 { "" } else { "s" };
        (files > 0).then(|| {
            format!(
                "{files} file{plural} of {} MiB would not fit: {} MiB can be filled, and {} MiB are to stay free; make room, or lower \
                 the reserve",
                bytes.div_ceil(MIB),
                self.at_first.left() / MIB,
                self.at_first.reserve / MIB,
            )
        })
    }

    /// What the actions would do, each behind what would be kept because of it.
    ///
    /// # Errors
    /// When it cannot be seen what is free.
    pub(super) async fn look_at(
        &mut self,
        actions: Vec<pb::PlannedAction>,
    ) -> Result<Vec<pb::Finding>, DestinationError> {
        let mut findings = Vec::with_capacity(actions.len());
        for pb::PlannedAction { finding, place } in actions {
            let Some(finding) = finding else { continue };
            if finding.kind() == FindingKind::Transfer && !self.has_room(size(finding.size)).await? {
                findings.push(self.leave(finding));
                continue;
            }
            let replaced = place.as_ref().and_then(|place| place.expected.as_ref()?.size);
            let is_folder = place.is_none();
            let kept = match place {
                Some(place) => self.kept(&finding, place).await,
                None => None,
            };
            let kind = finding.kind();
            if kind == FindingKind::Transfer {
                self.space.fill(size(finding.size));
                // What is kept goes on taking its room.
                if kept.is_none() {
                    self.space.empty(size(replaced.unwrap_or_default()));
                }
            } else if kind == FindingKind::Move {
                self.departures.leaves(&finding.from_path);
            } else if kind == FindingKind::Delete {
                if is_folder {
                    findings.extend(self.stays(&finding.path).await);
                }
                if kept.is_some() {
                    self.departures.holds(&finding.path);
                }
                self.departures.leaves(&finding.path);
            }
            findings.extend(kept);
            findings.push(finding);
        }
        Ok(findings)
    }

    async fn has_room(&mut self, bytes: u64) -> Result<bool, DestinationError> {
        if !self.space.fits(bytes)
            && !std::mem::replace(&mut self.bin_counted, true)
            && let Some(onlooker) = &self.onlooker
        {
            let in_bin = onlooker.bin_bytes().await?;
            self.space.empty(in_bin);
            self.at_first.empty(in_bin);
        }
        Ok(self.space.fits(bytes))
    }

    fn leave(&mut self, finding: pb::Finding) -> pb::Finding {
        self.leftover.files += 1;
        self.leftover.bytes = self.leftover.bytes.saturating_add(size(finding.size));
        let left = self.space.left() / MIB;
        pb::Finding {
            kind: FindingKind::Leave.into(),
            reason: DESTINATION_FULL.to_owned(),
            detail: format!("does not fit: {left} MiB would be left for it"),
            ..finding
        }
    }

    /// What would be kept at a place.
    async fn kept(&self, finding: &pb::Finding, place: pb::Place) -> Option<pb::Finding> {
        let onlooker = self.onlooker.as_ref()?;
        let place = Place {
            expected: expected(place.expected.as_ref()),
            path: place.path,
            for_folder: finding.kind() == FindingKind::MakeFolder,
            new_hash: place.new_quick_xor_hash,
        };
        let path = place.path.join("/");
        match onlooker.would_keep(place).await {
            Ok(kept) => kept.map(|kept| keep(path, kept)),
            Err(error) => Some(unseen(path, &error)),
        }
    }

    /// Whether a folder that would be deleted stays because something lies in it that is not the drive's.
    async fn stays(&mut self, path: &str) -> Option<pb::Finding> {
        let names = self.departures.names_of(path)?;
        if self.departures.holding.remove(path) {
            self.departures.holds(path);
            return Some(keep(path.to_owned(), KeptReason::Folder));
        }
        let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        let opened = match self.onlooker.as_ref()?.enter(&segments).await {
            Ok(Entered::Folder(opened)) => opened,
            Ok(Entered::Missing | Entered::WrongKind(_)) => return None,
            Err(error) => return Some(unseen(path.to_owned(), &error)),
        };
        match opened.extras(names).recv().await? {
            Ok(_) => {
                self.departures.holds(path);
                Some(keep(path.to_owned(), KeptReason::Folder))
            }
            Err(error) => Some(unseen(path.to_owned(), &error)),
        }
    }
}

impl Departures {
    fn leaves(&mut self, path: &str) {
        if let Some((folder, name)) = path.rsplit_once('/')
            && self.remember()
        {
            let folds = self.folds_names;
            self.leaving.entry(folder.to_owned()).or_insert_with(|| Names::new(folds)).insert(name);
        }
    }

    /// Something stays at a path.
    fn holds(&mut self, path: &str) {
        if let Some((folder, _)) = path.rsplit_once('/')
            && self.remember()
        {
            self.holding.insert(folder.to_owned());
        }
    }

    /// What goes from a folder that is deleted; nothing where not all of it may be known.
    fn names_of(&mut self, folder: &str) -> Option<Names> {
        let names = self.leaving.remove(folder).unwrap_or_else(|| Names::new(self.folds_names));
        (self.remembered < MAX_REMEMBERED).then_some(names)
    }

    fn remember(&mut self) -> bool {
        let room = self.remembered < MAX_REMEMBERED;
        self.remembered += usize::from(room);
        room
    }
}

fn size(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or_default()
}

fn keep(path: String, kept: KeptReason) -> pb::Finding {
    let detail = match kept {
        KeptReason::LocalEdit => "was changed here; it would be kept under another name",
        KeptReason::Stranger => {
            "is not the drive's, which has an item there; it would be kept under another name"
        }
        KeptReason::Folder => "is gone from the drive and holds what is not the drive's; it would stay",
    };
    pb::Finding {
        kind: FindingKind::Keep.into(),
        path,
        reason: kept.reason().to_owned(),
        detail: detail.to_owned(),
        ..pb::Finding::default()
    }
}

/// What cannot be looked at is said as well.
fn unseen(path: String, error: &DestinationError) -> pb::Finding {
    pb::Finding {
        kind: FindingKind::Leave.into(),
        path,
        reason: error.reason().to_owned(),
        detail: error.to_string(),
        ..pb::Finding::default()
    }
}
