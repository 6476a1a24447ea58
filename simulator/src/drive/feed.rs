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

/// What is asked of the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Where the reader is.
    pub(crate) from: Position,
    /// About how many items a page has.
    pub(crate) limit: usize,
    /// The last change that is told already.
    pub(crate) until: u64,
    /// The folder whose feed it is; none for the root.
    pub(crate) scope: Option<Slot>,
    /// Leaves out the folders above what changed, as a client may prefer; the root is told all the same (graph-behaviour §2.6).
    pub(crate) exclude_parents: bool,
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
    /// The last change that the feed tells, when it lags behind since this time.
    pub(crate) fn visible(&self, until_ms: u64) -> u64 {
        self.horizon.at(until_ms)
    }

    /// The next page. Folders above a changed item are told with it, and count.
    pub(crate) fn page(&self, ask: Ask, switches: &DeltaSwitches) -> Page {
        let Ask { from, limit, until, scope, exclude_parents } = ask;
        let mut items = Vec::new();
        let mut told = HashSet::new();
        let mut tombstones = 0_usize;
        let mut read = from.read;
        let fresh = from.fresh_since.is_some();
        let mut done = true;
        for (sequence, slot) in self.changes.range(from.read + 1..).take_while(|(at, _)| **at <= until) {
            let within = scope.is_none_or(|folder| self.is_within(*slot, folder));
            let wanted = self.any(*slot).filter(|item| within && (!fresh || self.is_seen(*slot, item)));
            let Some(item) = wanted else {
                read = *sequence;
                continue;
            };
            let full = items.len() >= limit
                || switches.tombstone_page_size.is_some_and(|most| tombstones >= most.max(1));
            if full {
                done = false;
                break;
            }
            if switches.repeat_ancestors && exclude_parents {
                let top = scope.unwrap_or(ROOT);
                items.extend(self.get(top).filter(|_| told.insert(top)).map(|item| self.told(top, item)));
                if *slot == top {
                    read = *sequence;
                    continue;
                }
            } else if switches.repeat_ancestors {
                self.tell_ancestors(*slot, item, scope, &mut told, &mut items);
            }
            told.insert(*slot);
            let copy = self.told(*slot, item);
            tombstones += usize::from(!copy.alive);
            items.push(copy);
            read = *sequence;
        }
        if let Some(folder) = scope.filter(|_| !fresh) {
            self.tell_departed(folder, (from.read, if done { until } else { read }), &mut items);
        }
        if switches.create_before_delete {
            items.sort_by_key(|item| !item.alive);
        }
        if switches.children_before_parents {
            items.reverse();
        }
        let next = match (done, from.fresh_since) {
            (false, fresh_since) => Position { read, fresh_since },
            (true, Some(began)) => Position { read: began, fresh_since: None },
            (true, None) => Position { read: until.max(from.read), fresh_since: None },
        };
        Page { items, next, done }
    }

    /// Whether something in a folder has changed since; `sharing` says whether other permissions alone are a change.
    pub(crate) fn has_changed(&self, folder: Slot, since: u64, sharing: bool) -> bool {
        let only_shared = |slot, at| self.extra(slot).is_some_and(|extra| extra.shared_at == Some(at));
        let mut changed =
            self.changes.range(since + 1..).filter(|(at, slot)| sharing || !only_shared(**slot, **at));
        changed.any(|(_, slot)| folder == ROOT || self.is_within(*slot, folder))
            || self.horizon.departures(since, self.sequence()).any(|moved| self.is_within(moved.from, folder))
    }

    /// The item as the feed tells it: what is in a locked vault looks deleted.
    fn told(&self, slot: Slot, item: &Item) -> Snapshot {
        let mut copy = self.copy(slot, item);
        copy.alive = self.is_seen(slot, item);
        copy
    }

    fn is_seen(&self, slot: Slot, item: &Item) -> bool {
        item.alive && !self.is_locked_away(slot)
    }

    fn is_within(&self, slot: Slot, folder: Slot) -> bool {
        slot == folder || self.ancestors(slot).contains(&folder)
    }

    /// To the feed of a single folder, what was moved out of it is deleted.
    fn tell_departed(&self, folder: Slot, span: (u64, u64), items: &mut Vec<Snapshot>) {
        for departure in self.horizon.departures(span.0, span.1) {
            if self.is_within(departure.from, folder) && !self.is_within(departure.item, folder) {
                let gone = self.any(departure.item).map(|item| self.copy(departure.item, item));
                items.extend(gone.map(|gone| Snapshot { alive: false, parent: departure.from, ..gone }));
            }
        }
    }

    fn tell_ancestors(
        &self,
        slot: Slot,
        item: &Item,
        scope: Option<Slot>,
        told: &mut HashSet<Slot>,
        items: &mut Vec<Snapshot>,
    ) {
        let top = scope.unwrap_or(ROOT);
        if slot == top {
            return;
        }
        let mut chain = Vec::new();
        let mut at = item.parent;
        while told.insert(at) {
            // The folder above a tombstone may be gone as well; it has a tombstone of its own.
            chain.extend(self.get(at).map(|item| self.told(at, item)));
            if at == top {
                break;
            }
            at = self.any(at).map_or(ROOT, |item| item.parent);
        }
        items.extend(chain.into_iter().rev());
    }
}
