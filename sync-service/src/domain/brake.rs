//! The deletion brake: how many deletions a run may do without a person's word.

/// Deletions that never need approval.
pub const FREE_DELETIONS: u64 = 100;

/// Beyond [`FREE_DELETIONS`]: the share of what the destination holds that may go in one run, in percent.
pub const FREE_SHARE_PERCENT: u64 = 25;

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
    let share = applied.saturating_mul(FREE_SHARE_PERCENT) / 100;
    if deletions <= approved || deletions <= FREE_DELETIONS.max(share) { Brake::Release } else { Brake::Hold }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_deletions_or_a_small_share_need_nobody() {
        assert_eq!(brake(100, 100, 0), Brake::Release);
        assert_eq!(brake(250, 1000, 0), Brake::Release);
        assert_eq!(brake(251, 1000, 0), Brake::Hold);
    }

    #[test]
    fn an_approval_counts_up_to_its_number() {
        assert_eq!(brake(900, 1000, 900), Brake::Release);
        assert_eq!(brake(901, 1000, 900), Brake::Hold);
    }

    proptest! {
        #[test]
        fn fewer_deletions_are_never_judged_harder(n in 0_u64..10_000, applied in 0_u64..10_000, approved in 0_u64..10_000) {
            if brake(n + 1, applied, approved) == Brake::Release {
                prop_assert_eq!(brake(n, applied, approved), Brake::Release);
            }
        }
    }
}
