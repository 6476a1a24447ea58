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
/// Longest wait that a provider's `Retry-After` can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// When the next run is due after one ended at `now` in `state`, the `failures`-th failed one in a row (0 when it did not fail).
/// `retry_after` is what the provider asked for.
pub fn next_run_time(
    now: Timestamp,
    interval: Duration,
    state: RunState,
    failures: u32,
    retry_after: Option<Duration>,
) -> Timestamp {
    let pause = match state {
        RunState::Failed => {
            let doubled =
                FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
            doubled.min(interval).max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
        }
        RunState::Running
        | RunState::Succeeded
        | RunState::Partial
        | RunState::NeedsPerson
        | RunState::Cancelled => interval,
    };
    now.saturating_add(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn pause(state: RunState, failures: u32, retry_after: Option<Duration>) -> Duration {
        next_run_time(NOW, HOUR, state, failures, retry_after).duration_since(NOW)
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
}
