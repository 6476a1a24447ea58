//! What the feed has to know of the past: when changes were made, and out of which folders items were moved.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::item::Slot;

/// Most moments remembered. Beyond it the oldest are forgotten, and asking for a time before them means asking for everything.
const MAX_MOMENTS: usize = 100_000;
/// Most moves between folders remembered; only feeds of single folders need them.
const MAX_DEPARTURES: usize = 100_000;

/// Most items remembered as new. Beyond it all of them are taken to be old.
const MAX_BIRTHS: usize = 100_000;

/// What the feed has to know of the past.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    /// By milliseconds since the Unix epoch, the count of changes after what was done then.
    moments: BTreeMap<u64, u64>,
    departures: VecDeque<Departure>,
    /// When items were created by clients, milliseconds since the Unix epoch; kept only while the new are hard to find.
    births: HashMap<Slot, u64>,
}

/// An item was moved out of a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    /// The place of the move in the count of changes.
    pub(crate) sequence: u64,
    pub(crate) item: Slot,
    /// The folder it was in.
    pub(crate) from: Slot,
}

impl Horizon {
    /// Remembers that by now so many changes were made.
    pub(crate) fn mark(&mut self, now_ms: u64, sequence: u64) {
        self.moments.insert(now_ms, sequence);
        if self.moments.len() > MAX_MOMENTS {
            self.moments.pop_first();
        }
    }

    /// The count of changes at a time.
    pub(crate) fn at(&self, time_ms: u64) -> u64 {
        self.moments.range(..=time_ms).next_back().map_or(0, |(_, sequence)| *sequence)
    }

    /// Remembers when an item appeared at its place.
    pub(crate) fn born(&mut self, item: Slot, now_ms: u64) {
        if self.births.len() >= MAX_BIRTHS {
            self.births.clear();
        }
        self.births.insert(item, now_ms);
    }

    /// Whether an item appeared at its place after a time.
    pub(crate) fn is_newer(&self, item: Slot, time_ms: u64) -> bool {
        self.births.get(&item).is_some_and(|born| *born > time_ms)
    }

    /// Remembers that an item was moved out of a folder.
    pub(crate) fn departed(&mut self, sequence: u64, item: Slot, from: Slot) {
        if self.departures.len() >= MAX_DEPARTURES {
            self.departures.pop_front();
        }
        self.departures.push_back(Departure { sequence, item, from });
    }

    /// Moves after one change and up to another.
    pub(crate) fn departures(&self, after: u64, until: u64) -> impl Iterator<Item = Departure> {
        let first = self.departures.partition_point(|departure| departure.sequence <= after);
        self.departures.range(first..).copied().take_while(move |departure| departure.sequence <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_count_of_what_was_done_until_then() {
        let mut horizon = Horizon::default();
        horizon.mark(1_000, 5);
        horizon.mark(2_000, 9);
        assert_eq!([999, 1_000, 1_500, 2_000, 9_000].map(|time| horizon.at(time)), [0, 5, 5, 9, 9]);
        horizon.departed(6, 1, 0);
        horizon.departed(8, 2, 0);
        assert_eq!(horizon.departures(6, 9).map(|departure| departure.item).collect::<Vec<_>>(), [2]);
        assert_eq!(horizon.departures(0, 6).map(|departure| departure.item).collect::<Vec<_>>(), [1]);
    }
}
