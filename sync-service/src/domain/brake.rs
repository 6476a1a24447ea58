//! The deletion brake: how many deletions a run may do without a person's word.
//!
//! A few deletions, or a small share of what the destination holds, need nobody. A destination that would be emptied always needs
//! somebody, however small it is: a drive that suddenly shows nothing looks just like one that was cleared on purpose.

/// Deletions that never need approval, unless they empty the destination.
pub const FREE_DELETIONS: u64 = 100;

/// Beyond [`FREE_DELETIONS`]: the share of what the destination holds that may go in one run, in percent.
pub const FREE_SHARE_PERCENT: u64 = 25;

/// From this share on the destination counts as emptied, in percent of what it holds.
pub const EMPTIED_SHARE_PERCENT: u64 = 90;

/// Fewest deletions that can empty a destination: one file that comes and goes is no reason to wake anybody.
pub const MIN_EMPTYING: u64 = 2;

/// What the brake says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// Delete.
    Release,
    /// Hold everything back until somebody approves.
    Hold,
}

/// Decides on `deletions` of the `applied` items that the destination holds, of which `approved` were allowed by a person.
pub fn brake(deletions: u64, applied: u64, approved: u64) -> Brake {
    if deletions <= approved {
        return Brake::Release;
    }
    let share = |percent: u64| applied.saturating_mul(percent);
    let hundredfold = deletions.saturating_mul(100);
    let emptied = deletions >= MIN_EMPTYING && hundredfold >= share(EMPTIED_SHARE_PERCENT);
    if emptied || deletions > FREE_DELETIONS && hundredfold > share(FREE_SHARE_PERCENT) {
        Brake::Hold
    } else {
        Brake::Release
    }
}

/// So many applied items are enough to judge by: counting more of them changes nothing. The count thereby costs as much as is to be
/// deleted, not as much as there is.
pub fn enough_applied(deletions: u64) -> u64 {
    deletions.saturating_mul(100).div_ceil(FREE_SHARE_PERCENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_deletions_or_a_small_share_need_nobody() {
        assert_eq!(brake(1, 1, 0), Brake::Release);
        assert_eq!(brake(100, 120, 0), Brake::Release);
        assert_eq!(brake(250, 1000, 0), Brake::Release);
        assert_eq!(brake(251, 1000, 0), Brake::Hold);
    }

    #[test]
    fn a_destination_that_would_be_emptied_needs_somebody_however_small_it_is() {
        for applied in 2..=200 {
            assert_eq!(brake(applied, applied, 0), Brake::Hold, "{applied}");
        }
        assert_eq!(brake(1, 2, 0), Brake::Release);
        assert_eq!(brake(2, 3, 0), Brake::Release);
        assert_eq!(brake(9, 10, 0), Brake::Hold);
        assert_eq!(brake(8, 10, 0), Brake::Release);
    }

    #[test]
    fn an_approval_counts_up_to_its_number() {
        assert_eq!(brake(900, 1000, 900), Brake::Release);
        assert_eq!(brake(901, 1000, 900), Brake::Hold);
        assert_eq!(brake(3, 3, 3), Brake::Release);
    }

    proptest! {
        #[test]
        fn fewer_deletions_are_never_judged_harder(n in 0_u64..10_000, applied in 0_u64..10_000, approved in 0_u64..10_000) {
            if brake(n + 1, applied, approved) == Brake::Release {
                prop_assert_eq!(brake(n, applied, approved), Brake::Release);
            }
        }

        #[test]
        fn what_was_released_stays_released_while_it_is_done(applied in 0_u64..2_000, n in 0_u64..2_000, done in 0_u64..2_000) {
            let n = n.min(applied);
            let done = done.min(n);
            if brake(n, applied, 0) == Brake::Release {
                prop_assert_eq!(brake(n - done, applied - done, 0), Brake::Release);
            }
        }

        #[test]
        fn counting_beyond_what_is_enough_changes_nothing(n in 0_u64..5_000, applied in 0_u64..50_000, approved in 0_u64..5_000) {
            let counted = applied.min(enough_applied(n));
            prop_assert_eq!(brake(n, counted, approved), brake(n, applied, approved));
        }
    }
}
