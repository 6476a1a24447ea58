//! How many requests may be under way at once: one more after each full round of good answers, half after a throttled one.
//!
//! The service says when it is too much and never how much it likes, so the limit is found by trying (additive increase,
//! multiplicative decrease, as in RFC 5681 §3.1). A high latency therefore fills with requests until the service objects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Requests under way at once before anything is known.
const FIRST_LIMIT: u32 = 16;

/// Answers to requests that were sent before the last cut say nothing new: one cut in this time.
const CUT_PAUSE: Duration = Duration::from_secs(1);

/// The requests under way.
#[derive(Debug)]
pub(crate) struct Window {
    state: Mutex<State>,
    freed: Notify,
    max: u32,
}

#[derive(Debug)]
struct State {
    limit: u32,
    under_way: u32,
    /// Good answers since the limit changed.
    good: u32,
    cut: Option<Instant>,
}

/// Leave to have one request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Window>);

impl Window {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        let limit = FIRST_LIMIT.min(max).max(1);
        let state = State { limit, under_way: 0, good: 0, cut: None };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new(), max: max.max(1) })
    }

    /// Waits until one more request may be under way.
    pub(crate) async fn enter(self: &Arc<Self>) -> Pass {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.lock();
                if state.under_way < state.limit {
                    state.under_way += 1;
                    return Pass(Arc::clone(self));
                }
            }
            freed.await;
        }
    }

    /// A request went well.
    pub(crate) fn grow(&self) {
        let mut state = self.lock();
        state.good += 1;
        if state.good >= state.limit {
            state.good = 0;
            state.limit = (state.limit + 1).min(self.max);
            self.freed.notify_one();
        }
    }

    /// A request was throttled.
    pub(crate) fn halve(&self, now: Instant) {
        let mut state = self.lock();
        if state.cut.is_some_and(|cut| now < cut + CUT_PAUSE) {
            return;
        }
        state.cut = Some(now);
        state.good = 0;
        state.limit = (state.limit / 2).max(1);
    }

    /// Requests that may be under way at once now.
    pub(crate) fn limit(&self) -> u32 {
        self.lock().limit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock still holds whole numbers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_one_per_round_and_halves_once_per_throttle() {
        let window = Window::new(64);
        for _ in 0..16 {
            window.grow();
        }
        assert_eq!(window.limit(), 17);
        for _ in 0..10_000 {
            window.grow();
        }
        assert_eq!(window.limit(), 64);
        let now = Instant::now();
        window.halve(now);
        window.halve(now + CUT_PAUSE / 2);
        assert_eq!(window.limit(), 32, "both were sent before the cut");
        for round in 1..20 {
            window.halve(now + CUT_PAUSE * round);
        }
        assert_eq!(window.limit(), 1, "something is always under way");
    }

    #[tokio::test]
    async fn no_more_than_the_limit_are_under_way() {
        let window = Window::new(2);
        let (first, second) = (window.enter().await, window.enter().await);
        let third = tokio::time::timeout(Duration::from_millis(20), window.enter());
        assert!(third.await.is_err());
        drop(first);
        let third = window.enter().await;
        drop((second, third));
        assert_eq!(window.lock().under_way, 0);
    }
}
