//! The recycle bin: what was deleted, to be listed and restored (graph-behaviour §1.5, §3, §12).

use std::sync::Arc;

use super::change::ChangeError;
use super::item::{Extra, Slot, Snapshot};
use super::tree::{MAX_DEPTH, Place, Tree};

/// Most items kept in the bin of a drive, those inside of deleted folders included. What is deleted beyond it pushes out the oldest;
/// a single deletion of more cannot be restored.
const MAX_BINNED: usize = 100_000;

/// The recycle bin of a drive, oldest first.
#[derive(Debug, Default)]
pub(super) struct Bin {
    deletions: Vec<Deletion>,
}

/// One deletion: an item and everything that was below it.
#[derive(Debug)]
struct Deletion {
    /// Parents before their children.
    items: Vec<Binned>,
    /// Bytes of all of it.
    size: u64,
}

/// What a tombstone does not remember.
#[derive(Clone, Debug)]
struct Binned {
    slot: Slot,
    name: Box<str>,
    extra: Option<Arc<Extra>>,
}

impl Deletion {
    fn slot(&self) -> Option<Slot> {
        self.items.first().map(|item| item.slot)
    }
}

impl Tree {
    /// Deletes an item and everything below it, and keeps it in the bin.
    pub(crate) fn recycle(&mut self, slot: Slot, announce_all: bool) -> Result<(), ChangeError> {
        let size = self.get(slot).ok_or(ChangeError::NotFound)?.size;
        let binned = |slot: Slot| {
            let name = self.get(slot)?.name.clone();
            Some(Binned { slot, name, extra: self.extras.get(&slot).cloned() })
        };
        let items: Vec<Binned> = self.subtree(slot).into_iter().filter_map(binned).collect();
        self.delete(slot, announce_all)?;
        if items.len() <= MAX_BINNED {
            self.bin.deletions.push(Deletion { items, size });
        }
        let mut kept: usize = self.bin.deletions.iter().map(|deletion| deletion.items.len()).sum();
        while kept > MAX_BINNED {
            kept -= self.bin.deletions.remove(0).items.len();
        }
        Ok(())
    }

    /// What was deleted, the latest first: each deleted item as it was, without what was below it.
    pub(crate) fn binned(&self) -> Vec<Snapshot> {
        let as_it_was = |deletion: &Deletion| {
            let binned = deletion.items.first()?;
            let copy = Snapshot::of(binned.slot, self.any(binned.slot)?, binned.extra.as_ref());
            Some(Snapshot { name: binned.name.clone(), alive: true, ..copy })
        };
        self.bin.deletions.iter().rev().filter_map(as_it_was).collect()
    }

    /// Bytes of everything in the bin.
    pub(crate) fn binned_bytes(&self) -> u64 {
        self.bin.deletions.iter().map(|deletion| deletion.size).sum()
    }

    /// Takes an item out of the bin for good; false when it is not there.
    pub(crate) fn purge(&mut self, slot: Slot) -> bool {
        let before = self.bin.deletions.len();
        self.bin.deletions.retain(|deletion| deletion.slot() != Some(slot));
        self.bin.deletions.len() < before
    }

    /// Puts a deleted item back where it was, with everything that was below it; or into another folder, or under another name.
    pub(crate) fn restore(
        &mut self,
        slot: Slot,
        parent: Option<Slot>,
        name: Option<&str>,
    ) -> Result<(), ChangeError> {
        let found = self.bin.deletions.iter().position(|deletion| deletion.slot() == Some(slot));
        let index = found.ok_or(ChangeError::NotFound)?;
        let deletion = self.bin.deletions.get(index).ok_or(ChangeError::NotFound)?;
        let (items, size) = (deletion.items.clone(), deletion.size);
        let old = items.first().map(|item| item.name.to_string()).unwrap_or_default();
        let was_in = self.any(slot).ok_or(ChangeError::NotFound)?.parent;
        let place = Place { parent: parent.unwrap_or(was_in), name: name.unwrap_or(&old) };
        self.check_place(&place, None)?;
        if self.ancestors(place.parent).len() >= MAX_DEPTH {
            return Err(ChangeError::TooDeep);
        }
        if let Some(item) = self.get_mut(slot) {
            item.parent = place.parent;
        }
        for binned in items {
            let name = if binned.slot == slot { place.name.into() } else { binned.name };
            self.extras.extend(binned.extra.map(|extra| (binned.slot, extra)));
            self.revive(binned.slot, name);
        }
        self.grow_above(slot, size, 0);
        self.bin.deletions.remove(index);
        Ok(())
    }
}
