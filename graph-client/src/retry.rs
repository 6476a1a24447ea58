//! How often and how long one call tries again.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::config::RetryLimits;
use crate::error::{GraphError, Retry};
use crate::randomness::Randomness;
use crate::request::Operation;
use crate::throttle::Fence;

/// Calls that waited at the fence set off within this time after it opens, not all at once.
const SPREAD: Duration = Duration::from_millis(250);

/// The tries of one call.
pub(crate) struct Tries<'a> {
    operation: Operation,
    limits: &'a RetryLimits,
    fence: &'a Fence,
    randomness: &'a dyn Randomness,
    started: Instant,
    failed: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn start(
        operation: Operation,
        limits: &'a RetryLimits,
        fence: &'a Fence,
        randomness: &'a dyn Randomness,
    ) -> Self {
        Self { operation, limits, fence, randomness, started: Instant::now(), failed: 0 }
    }

    /// Waits until something of so many resource units may be sent, and takes the turn; or gives up as [`Self::pass_fence`] does.
    pub(crate) async fn take_turn(&self, units: u32) -> Result<(), GraphError> {
        self.pass_fence().await?;
        sleep(self.fence.turn(Instant::now(), units)).await;
        // The way may be closed by now; the turn is taken.
        self.pass_fence().await
    }

    /// Waits until the way is free, or gives up at once when that is beyond this call's time.
    pub(crate) async fn pass_fence(&self) -> Result<(), GraphError> {
        // The fence may have moved while this call slept. It moves only with an answer, and each of those ends a call or
        // uses up one of its tries; the elapsed time bounds it in any case.
        loop {
            let now = Instant::now();
            let wait = self.fence.remaining(now);
            if wait.is_zero() {
                return Ok(());
            }
            if wait > self.time_left(now) {
                return Err(GraphError::Throttled { retry_after: wait });
            }
            sleep(wait + fraction(SPREAD, self.randomness)).await;
        }
    }

    /// After a failure: waits if there is to be another try, else gives the error back.
    pub(crate) async fn pause(&mut self, error: GraphError) -> Result<(), GraphError> {
        let now = Instant::now();
        let delay = match error.retry() {
            // The fence does the waiting; it is closed even if this call gives up, since the service asked everyone.
            Retry::After(wait) => {
                self.fence.close_and_tell(now, wait.max(self.limits.backoff_base));
                Duration::ZERO
            }
            Retry::Backoff => backoff(self.limits, self.failed, self.randomness),
            Retry::Never => return Err(error),
        };
        self.failed += 1;
        if self.failed > self.limits.max_retries || delay > self.time_left(now) {
            return Err(error);
        }
        let (operation, attempt, reason) = (self.operation.name(), self.failed, error.reason());
        if let GraphError::Throttled { retry_after } = &error {
            warn!(operation, attempt, wait_ms = retry_after.as_millis(), "throttled; all calls wait");
        } else {
            debug!(operation, attempt, reason, wait_ms = delay.as_millis(), "trying again");
        }
        sleep(delay).await;
        Ok(())
    }

    fn time_left(&self, now: Instant) -> Duration {
        self.limits.max_elapsed.saturating_sub(now.saturating_duration_since(self.started))
    }
}

/// Full jitter: uniform between nothing and the upper end, which doubles from try to try up to the cap.
fn backoff(limits: &RetryLimits, failed: u32, randomness: &dyn Randomness) -> Duration {
    let upper = limits.backoff_base.saturating_mul(2_u32.saturating_pow(failed)).min(limits.backoff_cap);
    fraction(upper, randomness)
}

/// A random part of `whole`, from nothing to all of it, in steps of a 1/65535.
fn fraction(whole: Duration, randomness: &dyn Randomness) -> Duration {
    let [.., high, low] = randomness.next_u64().to_be_bytes();
    whole.mul_f64(f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCodes;

    struct Fixed(u64);

    impl Randomness for Fixed {
        fn next_u64(&self) -> u64 {
            self.0
        }
    }

    fn limits() -> RetryLimits {
        RetryLimits {
            max_retries: 2,
            max_elapsed: Duration::from_mins(1),
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(1),
            throttle_default: Duration::from_secs(30),
        }
    }

    fn unavailable() -> GraphError {
        GraphError::Unavailable { status: 503, codes: ErrorCodes::default() }
    }

    #[test]
    fn the_upper_end_doubles_up_to_the_cap() {
        let all = Fixed(u64::MAX);
        let delays: Vec<_> = (0..6).map(|failed| backoff(&limits(), failed, &all).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(&limits(), u32::MAX, &all), Duration::from_secs(1));
    }

    #[test]
    fn jitter_reaches_both_ends() {
        assert_eq!(fraction(Duration::from_secs(4), &Fixed(0)), Duration::ZERO);
        assert_eq!(fraction(Duration::from_secs(4), &Fixed(u64::MAX)), Duration::from_secs(4));
    }

    #[tokio::test]
    async fn tries_are_counted() {
        let (limits, fence, none) = (limits(), Fence::default(), Fixed(0));
        let mut tries = Tries::start(Operation::Item, &limits, &fence, &none);
        assert!(tries.pause(unavailable()).await.is_ok());
        assert!(tries.pause(unavailable()).await.is_ok());
        assert!(matches!(tries.pause(unavailable()).await, Err(GraphError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn what_repeating_does_not_change_is_not_repeated() {
        let (limits, fence, none) = (limits(), Fence::default(), Fixed(0));
        let mut tries = Tries::start(Operation::Item, &limits, &fence, &none);
        assert!(matches!(tries.pause(GraphError::Malware).await, Err(GraphError::Malware)));
    }

    #[tokio::test]
    async fn a_wait_beyond_the_time_of_the_call_ends_it_at_once_and_holds_the_others() {
        let (limits, fence, none) = (limits(), Fence::default(), Fixed(0));
        let mut tries = Tries::start(Operation::Item, &limits, &fence, &none);
        let wait = Duration::from_mins(2);
        assert!(tries.pause(GraphError::Throttled { retry_after: wait }).await.is_ok());
        let other = Tries::start(Operation::Download, &limits, &fence, &none);
        for tries in [tries, other] {
            let Err(GraphError::Throttled { retry_after }) = tries.pass_fence().await else {
                panic!("passed")
            };
            assert!(retry_after > Duration::from_secs(100) && retry_after <= wait);
        }
    }
}
