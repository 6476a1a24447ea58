//! When a source's next run is due.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::run::RunState;

/// Shortest interval between runs of a source.
pub const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// Longest interval between runs of a source.
pub const MAX_INTERVAL: Duration = Duration::from_hours(31 * 24);
/// Interval of a source that names none.
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(15);
/// First pause after a failed run; it doubles with each further one, up to the interval.
pub const FIRST_RETRY: Duration = Duration::from_secs(30);
/// A source whose connection is broken looks again by itself after this time, should the news of the repair get lost.
pub const SLEEP: Duration = Duration::from_hours(24);
/// Longest wait that a provider's `Retry-After` can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How much shorter than asked for a pause may be, in percent: so that what began together does not come together for ever.
pub const SPREAD_PERCENT: u32 = 10;

/// A span made up to [`SPREAD_PERCENT`] shorter: half of that by `phase`, the same for a source each time, half by `chance`.
pub fn spread(span: Duration, phase: u32, chance: u32) -> Duration {
    let share = (f64::from(phase) + f64::from(chance)) / (2.0 * f64::from(u32::MAX));
    span.mul_f64(1.0 - share * f64::from(SPREAD_PERCENT) / 100.0)
}

/// The phase of the source with this key: neighbours lie far apart.
pub fn phase(key: i64) -> u32 {
    // Fibonacci hashing: the upper half of a product with 2^64 over the golden ratio.
    let mixed = key.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u32::try_from(mixed).unwrap_or(u32::MAX)
}

/// When the next run is due after one ended at `now` in `state`, the `failures`-th failed one in a row (0 when it did not fail).
/// `retry_after` is what the provider asked for; `phase` and `chance` spread the pause, see [`spread`].
pub fn next_run_time(
    now: Timestamp,
    interval: Duration,
    state: RunState,
    failures: u32,
    retry_after: Option<Duration>,
    (phase, chance): (u32, u32),
) -> Timestamp {
    let pause = match state {
        RunState::Failed => {
            let doubled =
                FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
            spread(doubled.min(interval), phase, chance)
                .max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
        }
        RunState::Running
        | RunState::Succeeded
        | RunState::Partial
        | RunState::NeedsPerson
        | RunState::Cancelled => spread(interval, phase, chance),
    };
    now.saturating_add(pause)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn pause(state: RunState, failures: u32, retry_after: Option<Duration>) -> Duration {
        next_run_time(NOW, HOUR, state, failures, retry_after, (0, 0)).duration_since(NOW)
    }

    #[test]
    fn a_good_run_waits_the_interval() {
        assert_eq!(pause(RunState::Succeeded, 0, None), HOUR);
    }

    #[test]
    fn failures_back_off_up_to_the_interval() {
        assert_eq!(pause(RunState::Failed, 1, None), FIRST_RETRY);
        assert_eq!(pause(RunState::Failed, 3, None), FIRST_RETRY * 4);
        assert_eq!(pause(RunState::Failed, 30, None), HOUR);
    }

    #[test]
    fn the_provider_can_ask_for_more_but_not_without_end() {
        assert_eq!(pause(RunState::Failed, 1, Some(HOUR * 2)), HOUR * 2);
        assert_eq!(pause(RunState::Failed, 1, Some(HOUR * 1000)), MAX_RETRY_AFTER);
    }

    #[test]
    fn sources_that_began_together_come_apart() {
        let pauses: BTreeSet<Duration> = (1..=100).map(|key| spread(HOUR, phase(key), 0)).collect();
        assert_eq!(pauses.len(), 100);
        let (first, last) = (pauses.first().unwrap(), pauses.last().unwrap());
        assert!(*last > *first + HOUR / 25, "{first:?} to {last:?}");
    }

    proptest! {
        #[test]
        fn a_pause_is_spread_within_its_bounds(phase: u32, chance: u32, seconds in 60_u64..2_678_400) {
            let span = Duration::from_secs(seconds);
            let spread = spread(span, phase, chance);
            prop_assert!(spread <= span && spread >= span.mul_f64(0.8999), "{spread:?}");
        }
    }
}
