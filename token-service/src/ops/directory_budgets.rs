//! How much one app asks of one directory (Entra tenant) in this process: so many requests at once, and so many a second. A provider
//! throttles by both, and a throttle binds everybody in the directory.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::OpError;
use crate::domain::{connection::Connection, pace::Pace};

/// Most requests of one directory under way at once.
const MAX_IN_FLIGHT: usize = 64;
/// Most requests of one directory each second.
const PER_SECOND: u32 = 300;
/// How many of them may go at once after a rest.
const BURST: u32 = 100;
/// Longest wait for a turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Most directories whose requests are counted.
const MAX_DIRECTORIES: u64 = 10_000;
/// Cause of what is refused for this reason.
const CAUSE: &str = "own budget";

/// The budgets of all directories. Connections of which nobody knows the directory share one.
pub(super) struct DirectoryBudgets(Cache<String, Arc<Budget>>);

struct Budget {
    in_flight: Arc<Semaphore>,
    pace: Mutex<Pace>,
}

/// The right to one request, until it is dropped.
pub(super) struct Pass {
    _place: OwnedSemaphorePermit,
}

impl DirectoryBudgets {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_DIRECTORIES).build())
    }

    /// Waits for a turn to ask about a connection, or about one that is still to be made.
    pub(super) async fn enter(&self, connection: Option<&Connection>) -> Result<Pass, OpError> {
        let account = connection.and_then(|connection| connection.account.as_ref());
        let directory = account.map_or("", |account| account.directory_id.as_str());
        self.0.get_with_by_ref(directory, || Arc::new(Budget::new())).enter().await
    }
}

impl Budget {
    fn new() -> Self {
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Self { in_flight, pace: Mutex::new(Pace::new(PER_SECOND, BURST)) }
    }

    async fn enter(&self) -> Result<Pass, OpError> {
        let refused = |retry_after| OpError::ProviderThrottled { cause: CAUSE.to_owned(), retry_after };
        let give_up = Instant::now() + LONGEST_WAIT;
        let place = tokio::time::timeout_at(give_up, Arc::clone(&self.in_flight).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(refused(LONGEST_WAIT)) };
        let now = Instant::now();
        let left = give_up.saturating_duration_since(now);
        let turn = self.pace.lock().unwrap_or_else(PoisonError::into_inner).reserve(now, left);
        tokio::time::sleep(turn.map_err(refused)?).await;
        Ok(Pass { _place: place })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_are_under_way_than_the_budget_has_places() {
        let budgets = DirectoryBudgets::new();
        let mut passes = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            passes.push(budgets.enter(None).await.unwrap());
        }
        assert!(budgets.enter(None).now_or_never().is_none());
        passes.pop();
        assert!(budgets.enter(None).await.is_ok());
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_to_come_again() {
        let budget = Budget::new();
        let now = Instant::now();
        while budget.pace.lock().unwrap().reserve(now, Duration::from_mins(1)).is_ok() {}
        let refused = budget.enter().await.err().unwrap();
        assert!(
            matches!(refused, OpError::ProviderThrottled { retry_after, .. } if retry_after > LONGEST_WAIT)
        );
    }
}
