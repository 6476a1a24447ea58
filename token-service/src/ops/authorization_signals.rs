//! Wakes whoever watches an authorization that changed in this process. A lost signal costs a watcher a little time, never the
//! change: watchers read the database again every now and then.

use tokio::sync::broadcast;

use crate::domain::names::AuthorizationName;

/// Most signals a slow watcher may be behind before it merely reads again.
const CAPACITY: usize = 256;

/// Tells which authorization changed.
pub(super) struct AuthorizationSignals(broadcast::Sender<AuthorizationName>);

impl AuthorizationSignals {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Says that an authorization changed; to be called after the change is durable.
    pub(super) fn notify(&self, name: &AuthorizationName) {
        // Nobody may be watching.
        drop(self.0.send(name.clone()));
    }

    /// Receives what changes from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<AuthorizationName> {
        self.0.subscribe()
    }
}
