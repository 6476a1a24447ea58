//! What sync-service needs to know to start.

use service_kit::{
    database::{DatabaseUrl, PoolOptions},
    server::ServerLimits,
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
}

impl Config {
    /// The usual bounds.
    pub fn new(database: DatabaseUrl) -> Self {
        Self { database, pool: PoolOptions::default(), limits: ServerLimits::default() }
    }
}
