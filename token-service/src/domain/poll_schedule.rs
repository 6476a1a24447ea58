//! When to ask the provider again during a device authorization (RFC 8628 §3.5).

use std::time::Duration;

/// Interval when the provider names none (RFC 8628 §3.2).
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Never faster than this, whatever the provider says.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Never slower than this: a person waits for the result.
pub const MAX_INTERVAL: Duration = Duration::from_mins(1);
/// What `slow_down` adds, for this and every later poll (RFC 8628 §3.5).
pub const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);

/// What a poll that did not end the authorization said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollAnswer {
    /// `authorization_pending`.
    Pending,
    /// `slow_down`, or an answer that means the same.
    SlowDown,
    /// No usable answer: connection time-out, server error.
    Failed,
    /// Throttled, with the time to wait.
    Throttled(Duration),
}

/// The next poll: how long to wait now, and the interval from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextPoll {
    /// Time until the next poll.
    pub delay: Duration,
    /// Interval from now on.
    pub interval: Duration,
}

/// The interval the provider asked for, within bounds.
pub fn first_interval(asked: Option<Duration>) -> Duration {
    asked.unwrap_or(DEFAULT_INTERVAL).clamp(MIN_INTERVAL, MAX_INTERVAL)
}

/// Decides on the next poll.
pub fn next_poll(interval: Duration, answer: PollAnswer) -> NextPoll {
    let interval = match answer {
        PollAnswer::Pending | PollAnswer::Throttled(_) => interval,
        PollAnswer::SlowDown => interval.saturating_add(SLOW_DOWN_STEP),
        // RFC 8628 §3.5 asks for an exponential back-off after a connection time-out.
        PollAnswer::Failed => interval.saturating_mul(2),
    }
    .clamp(MIN_INTERVAL, MAX_INTERVAL);
    let delay = match answer {
        PollAnswer::Throttled(wait) => interval.max(wait),
        PollAnswer::Pending | PollAnswer::SlowDown | PollAnswer::Failed => interval,
    };
    NextPoll { delay, interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Duration = Duration::from_secs(5);

    #[test]
    fn pending_keeps_the_interval() {
        assert_eq!(next_poll(FIVE, PollAnswer::Pending), NextPoll { delay: FIVE, interval: FIVE });
    }

    #[test]
    fn slow_down_adds_five_seconds_each_time() {
        let once = next_poll(FIVE, PollAnswer::SlowDown);
        assert_eq!(once.interval, Duration::from_secs(10));
        let twice = next_poll(once.interval, PollAnswer::SlowDown);
        assert_eq!(twice, NextPoll { delay: Duration::from_secs(15), interval: Duration::from_secs(15) });
    }

    #[test]
    fn failures_double_the_interval_up_to_its_limit() {
        let mut interval = FIVE;
        for expected in [10, 20, 40, 60, 60] {
            interval = next_poll(interval, PollAnswer::Failed).interval;
            assert_eq!(interval, Duration::from_secs(expected));
        }
    }

    #[test]
    fn a_throttle_delays_one_poll_and_keeps_the_interval() {
        let wait = Duration::from_mins(2);
        assert_eq!(next_poll(FIVE, PollAnswer::Throttled(wait)), NextPoll { delay: wait, interval: FIVE });
    }

    #[test]
    fn the_first_interval_is_the_providers_within_bounds() {
        assert_eq!(first_interval(None), DEFAULT_INTERVAL);
        assert_eq!(first_interval(Some(Duration::ZERO)), MIN_INTERVAL);
        assert_eq!(first_interval(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(first_interval(Some(Duration::from_secs(7000))), MAX_INTERVAL);
    }
}
