//! Use cases, one per file: they open transactions, ask the domain what follows, and write it.

pub mod approve_deletions;
pub mod cancel_run;
pub mod commit_page;
mod error;
pub mod finish_run;
pub mod lease_run;
mod leased;
pub mod list_actions;
mod paths;
pub mod renew_lease;
pub mod report_outcomes;
pub mod runs;
pub mod sources;
pub mod throttle;

use std::{sync::Arc, time::Duration};

pub use error::OpError;
use service_kit::{clock::Clock, clock::Timestamp};
use tokio::sync::Notify;

use crate::store::Store;

/// How long a lease lives from each renewal.
pub const LEASE_TTL: Duration = Duration::from_mins(1);

/// Runs of a source that are kept.
pub const RUNS_KEPT: u64 = 200;

/// What every use case needs.
#[derive(Clone)]
pub struct Ctx {
    /// The sync database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung when a source may have become due, so that waiting workers look at once.
    pub due: Arc<Notify>,
    /// Rung when calls of some budget have to wait.
    pub throttled: Arc<Notify>,
}

impl Ctx {
    /// Uses a database and a clock.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, due: Arc::new(Notify::new()), throttled: Arc::new(Notify::new()) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
