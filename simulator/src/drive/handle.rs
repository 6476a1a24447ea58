//! What tests and the demo do with a drive in the same process.

use std::sync::Arc;

use serde::Serialize;

use super::Drive;
use super::change::{Change, ChangeError, Circumstances, resolve};
use super::item::{Facet, ROOT, Slot, Snapshot, SnapshotKind};
use super::spec::DriveKind;
use crate::content::ContentReader;
use crate::quick_xor;
use crate::world::World;

/// Whether an entry is a file or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A file or folder as the drive has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The names from below the root down to the item; empty for the root.
    pub path: Vec<String>,
    /// The id of the item.
    pub id: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
    /// Last modified, whole seconds since the Unix epoch.
    pub modified_seconds: u32,
    /// quickXorHash of a file, base64; none for a folder and for an empty file.
    pub quick_xor: Option<String>,
    /// What makes it special, by the name of the member that tells it: `package` and `remoteItem` (these two are neither file nor
    /// folder, whatever `kind` says), `malware`, `vault`, `specialFolder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facet: Option<&'static str>,
}

/// A drive of a running simulator.
#[derive(Clone, Debug)]
pub struct DriveHandle {
    pub(crate) drive: Arc<Drive>,
    pub(crate) world: Arc<World>,
}

impl DriveHandle {
    /// The id of the drive.
    #[must_use]
    pub fn id(&self) -> &str {
        self.drive.ids.drive()
    }

    /// The kind of the drive.
    #[must_use]
    pub fn kind(&self) -> DriveKind {
        self.drive.ids.kind()
    }

    /// User principal name of the owner.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.drive.owner.upn
    }

    /// Number of live files and folders, without the root.
    #[must_use]
    pub fn item_count(&self) -> u32 {
        self.drive.tree().live().saturating_sub(1)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.drive.tree().get(ROOT).map_or(0, |root| root.size)
    }

    /// Bytes of memory the model of the drive takes, counted from the capacities of its containers.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.drive.tree().memory_bytes()
    }

    /// Makes one change and returns the id of the item it was about.
    pub fn apply(&self, change: &Change) -> Result<String, ChangeError> {
        let made = self.drive.apply(change, self.circumstances());
        self.world.changed();
        made.map(|slot| self.drive.ids.item(slot))
    }

    /// Makes `count` random changes that follow from a seed; returns those that were possible, in order.
    pub fn random_changes(&self, seed: u64, count: u32) -> Vec<Change> {
        let made = self.drive.change_randomly(seed, count, self.circumstances());
        self.world.changed();
        made
    }

    /// Every file and folder below the root, parents before their children, with hashes.
    #[must_use]
    pub fn walk(&self) -> Vec<Entry> {
        let (mut items, paths) = {
            let tree = self.drive.tree();
            let mut found: Vec<(Slot, Vec<String>)> = vec![(ROOT, Vec::new())];
            let mut next = 0;
            while let Some((at, path)) = found.get(next).cloned() {
                for child in tree.children(at) {
                    let mut below = path.clone();
                    below.extend(tree.get(*child).map(|item| item.name.to_string()));
                    found.push((*child, below));
                }
                next += 1;
            }
            let live = found.into_iter().skip(1);
            live.filter_map(|(slot, path)| Some((tree.snapshot(slot)?, path))).unzip::<_, _, Vec<_>, Vec<_>>()
        };
        self.drive.hash(&mut items);
        items.iter().zip(paths).map(|(item, path)| self.entry(item, path)).collect()
    }

    /// The entry of an id, or of a path when the text begins with `/`; case does not count.
    #[must_use]
    pub fn lookup(&self, reference: &str) -> Option<Entry> {
        let (item, path) = {
            let tree = self.drive.tree();
            let slot = resolve(&tree, &self.drive.ids, reference)?;
            (tree.snapshot(slot)?, tree.path(slot))
        };
        let mut items = [item];
        self.drive.hash(&mut items);
        items.first().map(|item| self.entry(item, path))
    }

    /// The present content of a file, by id or path.
    #[must_use]
    pub fn content_reader(&self, reference: &str) -> Option<ContentReader> {
        let tree = self.drive.tree();
        let item = tree.snapshot(resolve(&tree, &self.drive.ids, reference)?)?;
        self.drive.content(&item)
    }

    /// Makes every delta link of the drive invalid, so that the next use of one is answered with 410.
    pub fn expire_delta_links(&self) {
        self.world.expire_delta_links(self.drive.index);
    }

    fn entry(&self, item: &Snapshot, path: Vec<String>) -> Entry {
        let (kind, size, quick_xor) = match item.kind {
            SnapshotKind::File { quick_xor, .. } => {
                (EntryKind::File, item.size, quick_xor.map(quick_xor::encode))
            }
            SnapshotKind::Folder { .. } | SnapshotKind::Opaque => (EntryKind::Folder, 0, None),
        };
        Entry {
            path,
            id: self.drive.ids.item(item.slot),
            kind,
            size,
            modified_seconds: item.modified,
            quick_xor,
            facet: item.facet().map(Facet::name),
        }
    }

    fn circumstances(&self) -> Circumstances {
        self.world.circumstances()
    }
}
