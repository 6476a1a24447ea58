//! Spreads requests evenly, but for a first burst (the generic cell rate algorithm).

use std::time::Duration;

use tokio::time::Instant;

/// When the next request may go.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    burst: Duration,
    /// When the request after the last one would go if all had kept to the interval.
    next: Option<Instant>,
}

impl Pace {
    /// `per_second` requests each second, and `burst` of them at once.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: interval * burst, next: None }
    }

    /// How long a request that is ready at `now` waits. Its place is taken, unless it would wait for longer than `longest`: then that
    /// wait is the error.
    pub fn reserve(&mut self, now: Instant, longest: Duration) -> Result<Duration, Duration> {
        let next = self.next.map_or(now, |next| next.max(now));
        let wait = (next + self.interval).saturating_duration_since(now + self.burst);
        if wait > longest {
            return Err(wait);
        }
        self.next = Some(next + self.interval);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_goes_at_once_and_then_one_each_interval() {
        let mut pace = Pace::new(10, 3);
        let now = Instant::now();
        let waits: Vec<_> = (0..6).map(|_| pace.reserve(now, LONG).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        // After a rest there is a burst again, and no larger one.
        let later = now + Duration::from_mins(1);
        let waits: Vec<_> = (0..5).map(|_| pace.reserve(later, LONG).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
    }

    #[test]
    fn who_would_wait_too_long_takes_no_place() {
        let mut pace = Pace::new(10, 1);
        let now = Instant::now();
        let taken = (0..100).filter(|_| pace.reserve(now, LONG).is_ok()).count();
        assert_eq!(taken, 11);
        assert_eq!(pace.reserve(now + LONG, LONG), Ok(Duration::from_millis(100)));
    }
}
