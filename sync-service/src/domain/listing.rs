//! When a run lists the whole drive again, instead of only what changed.
//!
//! Tombstones are told once and can be lost, and a stored link can become useless; both are mended by a fresh enumeration. Nothing
//! is deleted on its account before it is complete, and then behind the brake.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::{cursor::Cursor, schedule::spread};

/// Shortest time between full comparisons.
pub const MIN_FULL_INTERVAL: Duration = Duration::from_hours(1);
/// Longest time between full comparisons.
pub const MAX_FULL_INTERVAL: Duration = Duration::from_hours(90 * 24);
/// Time between full comparisons of a source and a service that name none.
pub const DEFAULT_FULL_INTERVAL: Duration = Duration::from_hours(7 * 24);

/// So many runs in a row may fail at the stored link before the drive is listed afresh.
pub const MAX_FEED_FAILURES: u32 = 3;

/// Reason of a run whose feed led back to a page that was read before.
pub const FEED_CIRCLE: &str = "FEED_CIRCLE";

/// Reason of a run whose stored link the provider refuses for good.
pub const FEED_REFUSED: &str = "FEED_REFUSED";

/// Why a run lists what it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingCause {
    /// What changed since the last listing.
    Changes,
    /// The whole drive, for the first time.
    First,
    /// The whole drive, to find what the feed did not tell.
    Periodic,
    /// The whole drive, because the provider does not honour the link any more.
    LinkExpired,
    /// The whole drive, because run after run failed at the stored link.
    LinkUnusable,
}

/// Whether a run that begins now is to list the whole drive afresh, and why. `feed_failures` is how many runs in a row failed at the
/// stored link, `full_time` when the last full comparison ended.
pub fn list_afresh(
    cursor: &Cursor,
    feed_failures: u32,
    full_time: Timestamp,
    full_interval: Duration,
    phase: u32,
    now: Timestamp,
) -> Option<ListingCause> {
    if *cursor != Cursor::Start && feed_failures >= MAX_FEED_FAILURES {
        return Some(ListingCause::LinkUnusable);
    }
    // An enumeration that is under way is the full comparison.
    let due = full_time.saturating_add(spread(full_interval, phase, phase)) <= now;
    (due && matches!(cursor, Cursor::CaughtUp(_))).then_some(ListingCause::Periodic)
}

/// Feed failures in a row after a run ended with `reason`.
pub fn feed_failures_after(before: u32, listing_complete: bool, reason: &str) -> u32 {
    if listing_complete {
        0
    } else if matches!(reason, FEED_CIRCLE | FEED_REFUSED) {
        before.saturating_add(1)
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEEK: Duration = DEFAULT_FULL_INTERVAL;
    const FULL: Timestamp = Timestamp::from_millis(1_000_000);

    fn caught_up() -> Cursor {
        Cursor::CaughtUp("d".into())
    }

    #[test]
    fn a_full_comparison_comes_once_its_time_is_over() {
        let after = |span| list_afresh(&caught_up(), 0, FULL, WEEK, 0, FULL.saturating_add(span));
        assert_eq!(after(WEEK), Some(ListingCause::Periodic));
        assert_eq!(after(WEEK / 2), None);
    }

    #[test]
    fn an_enumeration_under_way_is_not_begun_again() {
        let late = FULL.saturating_add(WEEK * 9);
        for cursor in [Cursor::Start, Cursor::Page("p".into())] {
            assert_eq!(list_afresh(&cursor, 0, FULL, WEEK, 0, late), None);
        }
    }

    #[test]
    fn a_link_that_fails_run_after_run_is_given_up() {
        for cursor in [caught_up(), Cursor::Page("p".into())] {
            let again = |failures| list_afresh(&cursor, failures, FULL, WEEK, 0, FULL);
            assert_eq!(again(MAX_FEED_FAILURES - 1), None);
            assert_eq!(again(MAX_FEED_FAILURES), Some(ListingCause::LinkUnusable));
        }
        assert_eq!(list_afresh(&Cursor::Start, 99, FULL, WEEK, 0, FULL), None, "there is no link to give up");
    }

    #[test]
    fn only_failures_at_the_link_count_and_a_complete_listing_forgets_them() {
        assert_eq!(feed_failures_after(1, false, FEED_CIRCLE), 2);
        assert_eq!(feed_failures_after(1, false, FEED_REFUSED), 2);
        assert_eq!(feed_failures_after(1, false, "GRAPH_UNAVAILABLE"), 1);
        assert_eq!(feed_failures_after(2, true, "ITEMS_LEFT"), 0);
    }

    proptest! {
        #[test]
        fn a_full_comparison_is_never_later_than_its_interval(phase: u32, hours in 1_u64..2160) {
            let interval = Duration::from_hours(hours);
            let due = list_afresh(&caught_up(), 0, FULL, interval, phase, FULL.saturating_add(interval));
            prop_assert_eq!(due, Some(ListingCause::Periodic));
        }
    }
}
