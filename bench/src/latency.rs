//! How long calls took.

use std::time::Duration;

/// Latencies of many calls, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn with_capacity(calls: usize) -> Self {
        Self(Vec::with_capacity(calls))
    }

    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds within which so many of 1,000 calls were answered; 1,000 gives the slowest.
    pub(crate) fn permille_ms(&mut self, permille: usize) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len() * permille).div_ceil(1000).saturating_sub(1);
        f64::from(self.0.get(place).copied().unwrap_or_default()) / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the very numbers that went in come out")]
    fn permilles_are_calls_that_happened() {
        let mut latencies = Latencies::default();
        for millis in (1..=100).rev() {
            latencies.push(Duration::from_millis(millis));
        }
        let at = [0, 500, 990, 999, 1000].map(|permille| latencies.permille_ms(permille));
        assert_eq!(at, [1.0, 50.0, 99.0, 100.0, 100.0]);
        assert_eq!(Latencies::default().permille_ms(500), 0.0);
    }
}
