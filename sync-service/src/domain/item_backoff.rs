//! When an item that could not be done is tried again.

use std::time::Duration;

/// Pause after the second failed attempt in a row; it doubles with each further one. After the first there is none: the next run
/// tries again, since most failures pass.
pub const FIRST_PAUSE: Duration = Duration::from_mins(30);

/// Longest pause between two attempts.
pub const MAX_PAUSE: Duration = Duration::from_hours(24);

/// How long an unchanged item is left alone after so many failed attempts in a row. A run that starts within that time does not
/// try it.
pub fn pause(attempts: u32) -> Duration {
    match attempts.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_tried_again_by_the_next_run() {
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(1), Duration::ZERO);
    }

    #[test]
    fn further_ones_wait_twice_as_long_each_time_up_to_a_day() {
        let minutes: Vec<u64> = (2..9).map(|attempts| pause(attempts).as_secs() / 60).collect();
        assert_eq!(minutes, [30, 60, 120, 240, 480, 960, 1440]);
        assert_eq!(pause(u32::MAX), MAX_PAUSE);
    }
}
