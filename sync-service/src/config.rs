//! What sync-service needs to know to start.

use std::time::Duration;

use service_kit::{
    database::{DatabaseUrl, PoolOptions},
    server::ServerLimits,
};

use crate::{
    domain::{fairness::Caps, listing::DEFAULT_FULL_INTERVAL},
    ops::LEASE_TTL,
    worker::Endpoint,
};

/// What sync-service needs to know to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the sync database is.
    pub database: DatabaseUrl,
    /// Bounds of its connections.
    pub pool: PoolOptions,
    /// Bounds of the server.
    pub limits: ServerLimits,
    /// Time between full comparisons of sources that name none.
    pub full_interval: Duration,
    /// How long a lease lives from each renewal: so soon is the run of a dead worker taken over.
    pub lease_ttl: Duration,
    /// Most runs at once.
    pub caps: Caps,
    /// Resource units that an application may use in a minute in one directory, over all workers; `None` for what the provider says.
    pub units_per_minute: Option<u32>,
    /// Where token-service is, to hear of broken and repaired connections; without it a source whose connection is broken is tried
    /// at its interval.
    pub token_service: Option<Endpoint>,
}

impl Config {
    /// The usual bounds.
    pub fn new(database: DatabaseUrl) -> Self {
        Self {
            database,
            pool: PoolOptions::default(),
            limits: ServerLimits::default(),
            full_interval: DEFAULT_FULL_INTERVAL,
            lease_ttl: LEASE_TTL,
            caps: Caps::default(),
            units_per_minute: None,
            token_service: None,
        }
    }
}
