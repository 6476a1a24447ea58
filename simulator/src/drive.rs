//! A drive: a tree in memory, its ids, its feed of changes, and what tests ask it.

mod bin;
pub(crate) mod change;
pub(crate) mod feed;
pub(crate) mod handle;
pub(crate) mod horizon;
pub(crate) mod ids;
pub(crate) mod item;
pub(crate) mod kept;
pub(crate) mod names;
mod random;
pub(crate) mod spec;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
pub(crate) mod versions;
pub(crate) mod writes;

use std::sync::{Arc, Mutex, MutexGuard};

use change::{Change, ChangeError, Circumstances};
use ids::Ids;
use item::{Slot, Snapshot, SnapshotKind};
use spec::{DriveKind, DriveSpec};
use tree::Tree;

use crate::config::User;
use crate::content::ContentReader;
use crate::lock::lock;

/// Items that need more bytes hashed have it done on a thread where that blocks nobody.
const HASH_INLINE_BYTES: u64 = 8 * 1024 * 1024;

/// A drive and who owns it.
#[derive(Debug)]
pub(crate) struct Drive {
    /// The number of the drive in its simulator.
    pub(crate) index: u32,
    pub(crate) ids: Ids,
    pub(crate) owner: User,
    /// When it was created, seconds since the Unix epoch.
    pub(crate) created: u32,
    tree: Mutex<Tree>,
}

impl Drive {
    /// Creates a drive and fills it.
    pub(crate) fn new(index: u32, spec: &DriveSpec, owner: User, created: u32) -> Self {
        let key = crate::mix::join(spec.seed, u64::from(index));
        let mut tree = Tree::new(created, spec.kind == DriveKind::Personal);
        random::fill(&mut tree, spec);
        // What a drive begins with is old: the feed tells it without delay.
        let filled = tree.sequence();
        tree.horizon.mark(0, filled);
        Self { index, ids: Ids::new(spec.kind, key), owner, created, tree: Mutex::new(tree) }
    }

    /// The tree, locked. Hold it only to copy out of it or to change it.
    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        lock(&self.tree)
    }

    /// Makes one change.
    pub(crate) fn apply(&self, change: &Change, how: Circumstances) -> Result<Slot, ChangeError> {
        self.change(how, |tree| change::apply(tree, &self.ids, change, how))
    }

    /// Changes the tree and remembers when.
    pub(crate) fn change<T, E>(
        &self,
        how: Circumstances,
        change: impl FnOnce(&mut Tree) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tree = self.tree();
        let made = change(&mut tree);
        let sequence = tree.sequence();
        tree.horizon.mark(how.now_ms, sequence);
        made
    }

    /// Makes random changes.
    pub(crate) fn change_randomly(&self, seed: u64, count: u32, how: Circumstances) -> Vec<Change> {
        let mut tree = self.tree();
        let made = random::change(&mut tree, &self.ids, how, (seed, count));
        let sequence = tree.sequence();
        tree.horizon.mark(how.now_ms, sequence);
        made
    }

    /// The content of a copied file.
    pub(crate) fn content(&self, item: &Snapshot) -> Option<ContentReader> {
        let own = item.extra.as_ref().and_then(|extra| extra.content.clone());
        match item.kind {
            SnapshotKind::File { .. } if own.is_some() => own,
            SnapshotKind::File { content_version, .. } => Some(ContentReader::new(
                self.ids.key(),
                u64::from(item.slot),
                u64::from(content_version),
                item.size,
            )),
            SnapshotKind::Folder { .. } | SnapshotKind::Opaque => None,
        }
    }

    /// Computes the hashes that copied files still lack, without holding the drive, and keeps them for the next time.
    pub(crate) fn hash(&self, items: &mut [Snapshot]) {
        let mut computed = Vec::new();
        for item in items.iter_mut().filter(|item| item.alive && item.size > 0) {
            let Some(content) = self.content(item) else { continue };
            if let SnapshotKind::File { content_version, quick_xor: missing @ None } = &mut item.kind {
                let hash = content.quick_xor();
                *missing = Some(hash);
                computed.push((item.slot, *content_version, hash));
            }
        }
        if !computed.is_empty() {
            let mut tree = self.tree();
            for (slot, version, hash) in computed {
                tree.remember_hash(slot, version, hash);
            }
        }
    }

    /// The same where answers are made: much work is done on a thread where it blocks nobody.
    pub(crate) async fn hashed(self: &Arc<Self>, mut items: Vec<Snapshot>) -> Vec<Snapshot> {
        if Self::unhashed_bytes(&items) <= HASH_INLINE_BYTES {
            self.hash(&mut items);
            return items;
        }
        let drive = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            drive.hash(&mut items);
            items
        });
        // The closure does not panic, so there is always a result.
        work.await.unwrap_or_default()
    }

    /// Bytes that [`Drive::hash`] would have to make for these items.
    pub(crate) fn unhashed_bytes(items: &[Snapshot]) -> u64 {
        let lacks = |item: &&Snapshot| matches!(item.kind, SnapshotKind::File { quick_xor: None, .. });
        items.iter().filter(|item| item.alive).filter(lacks).map(|item| item.size).sum()
    }
}
