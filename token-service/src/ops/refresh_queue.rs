//! At most one request to the provider per connection at a time, in this process. Several sets of scopes queue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::domain::names::ConnectionName;

/// Number of remembered locks at which those that nobody holds are let go.
const SWEEP_AT: usize = 1024;

/// Hands out the turn of each connection.
#[derive(Default)]
pub(super) struct RefreshQueue(Mutex<HashMap<ConnectionName, Weak<AsyncMutex<()>>>>);

impl RefreshQueue {
    /// Waits for the connection's turn, which ends when the guard is dropped. Turns are given in the order of asking.
    pub(super) async fn turn(&self, connection: &ConnectionName) -> OwnedMutexGuard<()> {
        self.lock_of(connection).lock_owned().await
    }

    fn lock_of(&self, connection: &ConnectionName) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(connection).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= SWEEP_AT {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(connection.clone(), Arc::downgrade(&lock));
        lock
    }
}
