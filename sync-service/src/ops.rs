//! Use cases, one per file: they open transactions, ask the domain what follows, and write it.

pub mod approve_deletions;
pub mod cancel_run;
pub mod commit_page;
pub mod connections;
mod error;
pub mod finish_run;
pub mod lease_run;
mod leased;
pub mod list_actions;
pub mod list_applied;
mod paths;
mod places;
pub mod plan_run;
pub mod renew_lease;
pub mod report_drift;
pub mod report_findings;
pub mod report_outcomes;
pub mod runs;
mod scopes;
pub mod sources;
pub mod start_run;
pub mod throttle;

use std::{sync::Arc, time::Duration};

pub use error::OpError;
use service_kit::{clock::Clock, clock::Timestamp};
use tokio::sync::Notify;

use crate::{
    domain::{fairness::Caps, listing::DEFAULT_FULL_INTERVAL},
    store::Store,
};

/// How long a lease lives from each renewal, unless the service is set otherwise.
pub const LEASE_TTL: Duration = Duration::from_mins(1);

/// Runs of a source that are kept.
pub const RUNS_KEPT: u64 = 200;

/// What the service is set to, for sources that say nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time between full comparisons.
    pub full_interval: Duration,
    /// How long a lease lives from each renewal.
    pub lease_ttl: Duration,
    /// Most runs at once.
    pub caps: Caps,
    /// Resource units that an application may use in a minute in one directory, over all workers; `None` for what the provider says.
    pub units_per_minute: Option<u32>,
    /// Whether the states of connections are followed: then a source whose connection is broken sleeps until it is repaired.
    pub follows_connections: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            full_interval: DEFAULT_FULL_INTERVAL,
            lease_ttl: LEASE_TTL,
            caps: Caps::default(),
            units_per_minute: None,
            follows_connections: false,
        }
    }
}

/// What every use case needs.
#[derive(Clone)]
pub struct Ctx {
    /// The sync database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the service is set to.
    pub settings: Settings,
    /// Rung when a source may have become due, so that waiting workers look at once.
    pub due: Arc<Notify>,
    /// Rung when calls of some budget have to wait.
    pub throttled: Arc<Notify>,
}

impl Ctx {
    /// Uses a database and a clock, with the usual settings.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            settings: Settings::default(),
            due: Arc::new(Notify::new()),
            throttled: Arc::new(Notify::new()),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
