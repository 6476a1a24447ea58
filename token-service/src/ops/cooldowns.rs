//! Leaves the provider alone for a while after a failure, per connection.

use std::time::Duration;

use moka::sync::Cache;
use service_kit::clock::Timestamp;

use super::OpError;
use crate::domain::names::ConnectionName;

/// Most connections whose failures are remembered.
const MAX_CONNECTIONS: u64 = 10_000;
/// Wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait after failures in a row.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Wait after the provider refused the app registration: nothing changes until an operator acts.
const APP_WAIT: Duration = Duration::from_secs(5);

/// Why the provider is left alone.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// It failed in passing or did not answer.
    Unavailable,
    /// It asked to wait that long.
    Throttled(Duration),
    /// It refused the app registration.
    Misconfigured,
}

#[derive(Clone, Debug)]
struct Cooldown {
    until: Timestamp,
    failures: u32,
    reason: Reason,
    cause: String,
}

/// Remembers failures.
pub(super) struct Cooldowns(Cache<ConnectionName, Cooldown>);

impl Cooldowns {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_CONNECTIONS).build())
    }

    /// The failure to repeat instead of asking the provider; nothing when it may be asked.
    pub(super) fn standing_failure(&self, connection: &ConnectionName, now: Timestamp) -> Option<OpError> {
        let cooldown = self.0.get(connection)?;
        let wait = cooldown.until.duration_since(now);
        (!wait.is_zero()).then(|| failure(&cooldown.reason, cooldown.cause, wait))
    }

    /// As [`standing_failure`](Self::standing_failure), but only where the provider itself asked to wait.
    pub(super) fn standing_throttle(&self, connection: &ConnectionName, now: Timestamp) -> Option<OpError> {
        self.standing_failure(connection, now)
            .filter(|error| matches!(error, OpError::ProviderThrottled { .. }))
    }

    /// Remembers a failure and gives it with the time to wait.
    pub(super) fn record(
        &self,
        connection: &ConnectionName,
        now: Timestamp,
        reason: Reason,
        cause: String,
    ) -> OpError {
        let failures = self.0.get(connection).map_or(0, |cooldown| cooldown.failures);
        let wait = match reason {
            Reason::Unavailable => {
                FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(MAX_WAIT)
            }
            Reason::Throttled(wait) => wait,
            Reason::Misconfigured => APP_WAIT,
        };
        let error = failure(&reason, cause.clone(), wait);
        let until = now.saturating_add(wait);
        self.0.insert(
            connection.clone(),
            Cooldown { until, failures: failures.saturating_add(1), reason, cause },
        );
        error
    }

    /// Forgets the failures of a connection: it works again, or it is another one now.
    pub(super) fn clear(&self, connection: &ConnectionName) {
        self.0.invalidate(connection);
    }
}

fn failure(reason: &Reason, cause: String, wait: Duration) -> OpError {
    match reason {
        Reason::Unavailable => OpError::ProviderUnavailable { cause, retry_after: wait },
        Reason::Throttled(_) => OpError::ProviderThrottled { cause, retry_after: wait },
        Reason::Misconfigured => OpError::ProviderMisconfigured { cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn name() -> ConnectionName {
        ConnectionName::parse("tenants/a/connections/b").unwrap()
    }

    fn wait_of(error: &OpError) -> Duration {
        let (OpError::ProviderUnavailable { retry_after, .. }
        | OpError::ProviderThrottled { retry_after, .. }) = error
        else {
            panic!("{error}");
        };
        *retry_after
    }

    #[test]
    fn waits_double_up_to_their_limit_and_end() {
        let cooldowns = Cooldowns::new();
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let error = cooldowns.record(&name(), NOW, Reason::Unavailable, "x".into());
            assert_eq!(wait_of(&error), Duration::from_secs(expected));
        }
        assert!(cooldowns.standing_failure(&name(), NOW).is_some());
        assert!(cooldowns.standing_failure(&name(), NOW.saturating_add(MAX_WAIT)).is_none());
    }

    #[test]
    fn what_the_provider_asked_for_is_kept_to() {
        let cooldowns = Cooldowns::new();
        cooldowns.record(&name(), NOW, Reason::Throttled(Duration::from_secs(90)), "x".into());
        let later = NOW.saturating_add(Duration::from_secs(30));
        let error = cooldowns.standing_throttle(&name(), later).unwrap();
        assert_eq!(wait_of(&error), Duration::from_mins(1));
        cooldowns.clear(&name());
        assert!(cooldowns.standing_failure(&name(), later).is_none());
    }
}
