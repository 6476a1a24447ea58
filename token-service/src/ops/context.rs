//! What every use case needs.

use std::sync::Arc;

use service_kit::{
    clock::{Clock, Timestamp},
    lifecycle::Lifecycle,
};
use tokio::sync::{Notify, oneshot};

use super::{
    OpError, app_health::AppHealthMonitor, authorization_signals::AuthorizationSignals, cooldowns::Cooldowns,
    custody::Custody, get_access_token::TokenFlights, refresh_queue::RefreshQueue, token_cache::TokenCache,
};
use crate::{crypto::KeySource, domain::scopes::ScopeSet, provider::IdentityProvider, store::Store};

/// What `app` puts together.
pub struct Parts {
    /// The token database.
    pub store: Store,
    /// The keyring.
    pub keys: Arc<dyn KeySource>,
    /// The identity provider.
    pub provider: Arc<dyn IdentityProvider>,
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Tracks what runs detached from a request.
    pub lifecycle: Lifecycle,
    /// Scopes of connections whose maker names none.
    pub default_scopes: ScopeSet,
}

/// What every use case needs, and the state they share in this process.
pub struct Context {
    pub(super) store: Store,
    pub(super) custody: Custody,
    pub(super) provider: Arc<dyn IdentityProvider>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifecycle: Lifecycle,
    pub(super) default_scopes: ScopeSet,
    pub(super) cache: TokenCache,
    pub(super) flights: TokenFlights,
    pub(super) refresh_queue: RefreshQueue,
    pub(super) cooldowns: Cooldowns,
    pub(super) app_health: AppHealthMonitor,
    pub(super) signals: AuthorizationSignals,
    pub(super) poll_wakeup: Notify,
}

impl Context {
    /// A context with empty caches.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            store: parts.store,
            custody: Custody::new(parts.keys),
            provider: parts.provider,
            clock: parts.clock,
            flights: TokenFlights::for_tokens(parts.lifecycle.clone()),
            lifecycle: parts.lifecycle,
            default_scopes: parts.default_scopes,
            cache: TokenCache::new(),
            refresh_queue: RefreshQueue::default(),
            cooldowns: Cooldowns::new(),
            app_health: AppHealthMonitor::default(),
            signals: AuthorizationSignals::new(),
            poll_wakeup: Notify::new(),
        })
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tracks what runs in this process.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Runs work that must not stop half way because its caller went away: an exchanged token must still be stored.
    pub(super) async fn detached<T, F>(&self, name: &'static str, work: F) -> Result<T, OpError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, OpError>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.lifecycle.spawn(name, async move {
            // Nobody may be waiting any more.
            drop(sender.send(work.await));
        });
        receiver.await.unwrap_or(Err(OpError::ShuttingDown))
    }
}
