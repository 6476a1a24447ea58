//! A limit on the bytes received per second, shared by every download of a process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Bytes that may come at once after a quiet time, as a time of the full rate.
const BURST: Duration = Duration::from_millis(250);

/// A limit on the bytes received per second.
#[derive(Debug)]
pub struct Bandwidth {
    bytes_per_second: u64,
    /// When everything received so far is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Bandwidth {
    /// A limit of so many bytes per second, at least one.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid: Mutex::default() }
    }

    /// Takes note of bytes that came, and waits until more may come. Bytes of many downloads are paid for in the order they came.
    pub async fn spend(&self, bytes: usize) {
        let until = self.note(bytes, Instant::now());
        sleep_until(until).await;
    }

    fn note(&self, bytes: usize, now: Instant) -> Instant {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000);
        let cost = nanos / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let before = paid.map_or(now, |paid| paid.max(now));
        let after = before + cost;
        *paid = Some(after);
        after.checked_sub(BURST).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_paid_for_one_after_the_other_whoever_received_it() {
        let (bandwidth, now) = (Bandwidth::new(1000), Instant::now());
        let waits: Vec<u64> =
            (0..40).map(|_| (bandwidth.note(100, now) - now).as_millis()).map(millis).collect();
        assert_eq!(waits.last(), Some(&3750), "4,000 bytes, a quarter of a second of them at once");
        assert!(waits.is_sorted());
    }

    #[test]
    fn a_quiet_time_is_not_saved_up() {
        let (bandwidth, start) = (Bandwidth::new(1000), Instant::now());
        assert_eq!(bandwidth.note(1000, start) - start, Duration::from_millis(750));
        let later = start + Duration::from_mins(10);
        assert_eq!(bandwidth.note(1000, later) - later, Duration::from_millis(750));
    }

    #[test]
    fn odd_limits_neither_panic_nor_stop_the_flow() {
        let now = Instant::now();
        assert!(Bandwidth::new(0).note(1, now) - now <= Duration::from_secs(1));
        assert!(Bandwidth::new(u64::MAX).note(usize::MAX, now) <= now + Duration::from_secs(2));
    }

    #[tokio::test]
    async fn the_wait_is_kept() {
        let (bandwidth, started) = (Bandwidth::new(1000), Instant::now());
        bandwidth.spend(350).await;
        assert!(started.elapsed() >= Duration::from_millis(100));
    }

    fn millis(millis: u128) -> u64 {
        u64::try_from(millis).unwrap()
    }
}
