//! The delta feed: every item once, at the place of its latest change (graph-behaviour §2.3).
//!
//! A reader is a position in the count of changes. What changes while it reads moves behind it and is met again, so a page can
//! repeat items but never miss one. A fresh enumeration lists no deletions; therefore its delta link points to where the count
//! stood when the enumeration *began*, and a deletion in between is told by the next delta.

use std::collections::HashSet;

use super::item::{Item, ROOT, Slot, Snapshot};
use super::tree::Tree;
use crate::switches::DeltaSwitches;

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Everything up to this change was read.
    pub(crate) read: u64,
    /// For a fresh enumeration, where the count stood when it began.
    pub(crate) fresh_since: Option<u64>,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The items, in the order they are told.
    pub(crate) items: Vec<Snapshot>,
    /// Where the reader is afterwards.
    pub(crate) next: Position,
    /// Whether there is no more: the next position is a delta link.
    pub(crate) done: bool,
}

impl Tree {
    /// The position of somebody who begins with nothing.
    pub(crate) const fn beginning(&self) -> Position {
        Position { read: 0, fresh_since: Some(self.sequence()) }
    }

    /// The position of somebody who only wants what comes (`token=latest`).
    pub(crate) const fn latest(&self) -> Position {
        Position { read: self.sequence(), fresh_since: None }
    }

    /// The next page of about `limit` items. Folders above a changed item are told with it, and count.
    pub(crate) fn page(&self, from: Position, limit: usize, switches: &DeltaSwitches) -> Page {
        let mut items = Vec::new();
        let mut told = HashSet::new();
        let mut tombstones = 0_usize;
        let mut read = from.read;
        let fresh = from.fresh_since.is_some();
        let mut waiting = self.changes.range(from.read + 1..);
        let mut done = true;
        for (sequence, slot) in waiting.by_ref() {
            let Some(item) = self.any(*slot).filter(|item| item.alive || !fresh) else {
                read = *sequence;
                continue;
            };
            let full = items.len() >= limit
                || switches.tombstone_page_size.is_some_and(|most| tombstones >= most.max(1));
            if full {
                done = false;
                break;
            }
            if switches.repeat_ancestors {
                self.tell_ancestors(*slot, item, &mut told, &mut items);
            }
            told.insert(*slot);
            tombstones += usize::from(!item.alive);
            items.push(Snapshot::of(*slot, item));
            read = *sequence;
        }
        if switches.create_before_delete {
            items.sort_by_key(|item| !item.alive);
        }
        let next = match (done, from.fresh_since) {
            (false, fresh_since) => Position { read, fresh_since },
            (true, Some(began)) => Position { read: began, fresh_since: None },
            (true, None) => Position { read: self.sequence(), fresh_since: None },
        };
        Page { items, next, done }
    }

    fn tell_ancestors(&self, slot: Slot, item: &Item, told: &mut HashSet<Slot>, items: &mut Vec<Snapshot>) {
        if slot == ROOT {
            return;
        }
        let mut chain = Vec::new();
        let mut at = item.parent;
        while told.insert(at) {
            // The folder above a tombstone may be gone as well; it has a tombstone of its own.
            chain.extend(self.snapshot(at));
            if at == ROOT {
                break;
            }
            at = self.any(at).map_or(ROOT, |item| item.parent);
        }
        items.extend(chain.into_iter().rev());
    }
}
