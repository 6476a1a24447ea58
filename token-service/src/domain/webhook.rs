//! What endpoints are told, and when a delivery that failed is tried again.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::connection::ConnectionState;

/// Wait before the second attempt; it doubles with each further one.
pub const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait between attempts, also where the endpoint asks for more.
pub const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// A change that could not be delivered for so long is given up. Changes are kept for longer than this.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(3 * 24);

/// Type of the event that a change into this state is; nothing stands for "deleted".
pub fn event_type(state: Option<&ConnectionState>) -> &'static str {
    match state {
        Some(ConnectionState::Active) => "connection.active",
        Some(ConnectionState::NeedsReauth { .. }) => "connection.needs_reauth",
        Some(ConnectionState::Blocked { .. }) => "connection.blocked",
        Some(ConnectionState::Revoked) => "connection.revoked",
        None => "connection.deleted",
    }
}

/// `webhook-id` of a change. Its number alone could come again after a database was restored.
pub fn message_id(sequence: i64, change_time: Timestamp) -> String {
    format!("msg_{sequence}_{}", change_time.as_millis())
}

/// What becomes of a delivery that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterFailure {
    /// It is tried again at this time.
    Retry(Timestamp),
    /// It is not tried again.
    GiveUp,
}

/// Decides after the `attempts`th failure of a change made at `change_time`. `asked` is what the endpoint asked to wait; `chance`
/// is anything between 0 and 255.
pub fn after_failure(
    attempts: u32,
    change_time: Timestamp,
    now: Timestamp,
    asked: Option<Duration>,
    chance: u8,
) -> AfterFailure {
    if now.duration_since(change_time) >= GIVE_UP_AFTER {
        return AfterFailure::GiveUp;
    }
    let wait = wait_after(attempts).max(asked.unwrap_or_default()).min(LONGEST_WAIT);
    // Up to a tenth longer by chance, so that what failed together is not tried again together.
    AfterFailure::Retry(now.saturating_add(wait + wait / 10 * u32::from(chance) / 255))
}

/// The wait after so many failures in a row.
pub fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn seconds(after: AfterFailure) -> u64 {
        match after {
            AfterFailure::Retry(time) => time.duration_since(NOW).as_secs(),
            AfterFailure::GiveUp => panic!("given up"),
        }
    }

    #[test]
    fn waits_double_up_to_their_limit_and_vary_by_chance() {
        for (attempts, expected) in [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (1000, 600)] {
            assert_eq!(seconds(after_failure(attempts, NOW, NOW, None, 0)), expected);
        }
        assert_eq!(seconds(after_failure(8, NOW, NOW, None, 255)), 660);
    }

    #[test]
    fn what_the_endpoint_asks_for_is_kept_to_within_bounds() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(seconds(after_failure(1, NOW, NOW, asked(60), 0)), 60);
        assert_eq!(seconds(after_failure(1, NOW, NOW, asked(1), 0)), 5);
        assert_eq!(seconds(after_failure(1, NOW, NOW, asked(1_000_000), 0)), 600);
    }

    #[test]
    fn an_old_change_is_given_up_after_one_more_attempt() {
        let old = NOW.saturating_sub(GIVE_UP_AFTER);
        assert_eq!(after_failure(1, old, NOW, None, 0), AfterFailure::GiveUp);
    }
}
