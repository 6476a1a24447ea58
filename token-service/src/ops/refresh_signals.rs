//! Wakes whoever waits for a refresh that another replica has under way. A lost signal costs a little time: waiters look again
//! by themselves.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::domain::names::ConnectionName;

/// Most signals a waiter may be behind before it merely looks again.
const CAPACITY: usize = 1024;
/// How often a waiter looks although nothing woke it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells which connection's refresh ended.
pub(super) struct RefreshSignals(broadcast::Sender<ConnectionName>);

/// Receives what ends from now on.
pub(super) struct RefreshWaiter(broadcast::Receiver<ConnectionName>);

impl RefreshSignals {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Says that a refresh ended.
    pub(super) fn notify(&self, connection: &ConnectionName) {
        // Nobody may be waiting.
        drop(self.0.send(connection.clone()));
    }

    pub(super) fn subscribe(&self) -> RefreshWaiter {
        RefreshWaiter(self.0.subscribe())
    }
}

impl RefreshWaiter {
    /// Waits until it is worth looking again.
    pub(super) async fn wait_for(&mut self, connection: &ConnectionName) {
        let woken = async {
            loop {
                match self.0.recv().await {
                    Ok(ended) if ended != *connection => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Looking again is what both ends of this lead to.
        drop(tokio::time::timeout(LOOK_EVERY, woken).await);
    }
}
