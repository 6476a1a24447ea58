//! What every use case needs.

use std::{sync::Arc, time::Duration};

use service_kit::{
    clock::{Clock, Timestamp},
    lifecycle::Lifecycle,
    resource_name::ResourceId,
};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    OpError, app_health::AppHealthMonitor, authorization_signals::AuthorizationSignals,
    change_feed::ChangeFeed, cooldowns::Cooldowns, custody::Custody, database_state::DatabaseState,
    directory_budgets::DirectoryBudgets, directory_fences::DirectoryFences, get_access_token::TokenFlights,
    refresh_queue::RefreshQueue, refresh_signals::RefreshSignals, suspicions::Suspicions,
    token_cache::TokenCache,
};
use crate::{
    crypto::KeySource,
    domain::{
        refresh_lease::{LEASE_MARGIN, TAKEOVER_PAUSE},
        scopes::ScopeSet,
    },
    provider::IdentityProvider,
    store::Store,
};

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
    /// How long a refresh may take.
    pub refresh_times: RefreshTimes,
}

/// How long the parts of a refresh may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefreshTimes {
    /// Longest wait for the provider's answer.
    pub provider_timeout: Duration,
}

impl RefreshTimes {
    /// How long a lease lasts: longer than any request it stands for.
    pub(super) fn lease_length(self) -> Duration {
        self.provider_timeout + LEASE_MARGIN
    }

    /// Longest wait for others who refresh: one that vanished, and one that took over from it.
    pub(super) fn longest_wait(self) -> Duration {
        self.lease_length() * 2 + TAKEOVER_PAUSE
    }
}

/// What every use case needs, and the state they share in this process.
pub struct Context {
    pub(super) store: Store,
    pub(super) custody: Custody,
    pub(super) provider: Arc<dyn IdentityProvider>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifecycle: Lifecycle,
    pub(super) default_scopes: ScopeSet,
    pub(super) refresh_times: RefreshTimes,
    /// Names this process in leases; made anew at each start.
    pub(super) replica: String,
    pub(super) database: DatabaseState,
    pub(super) changes: ChangeFeed,
    pub(super) refresh_signals: RefreshSignals,
    pub(super) cache: TokenCache,
    pub(super) flights: TokenFlights,
    pub(super) refresh_queue: RefreshQueue,
    pub(super) cooldowns: Cooldowns,
    pub(super) suspicions: Suspicions,
    pub(super) directory_budgets: DirectoryBudgets,
    pub(super) directory_fences: DirectoryFences,
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
            refresh_times: parts.refresh_times,
            replica: ResourceId::new_random("").to_string(),
            database: DatabaseState::new(),
            changes: ChangeFeed::new(),
            refresh_signals: RefreshSignals::new(),
            cache: TokenCache::new(),
            refresh_queue: RefreshQueue::default(),
            cooldowns: Cooldowns::new(),
            suspicions: Suspicions::new(),
            directory_budgets: DirectoryBudgets::new(),
            directory_fences: DirectoryFences::new(),
            app_health: AppHealthMonitor::default(),
            signals: AuthorizationSignals::new(),
            poll_wakeup: Notify::new(),
        })
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the database answers, whenever that changes.
    pub fn database_state(&self) -> watch::Receiver<bool> {
        self.database.subscribe()
    }

    /// Waits until the database does not answer.
    pub async fn database_down(&self) {
        self.database.down().await;
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
