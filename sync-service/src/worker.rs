//! sync-worker: leases runs and makes destinations equal to drives. Keeps nothing; whatever it knows, sync-service knows first.
//!
//! ```text
//! lease ─► ingest: feed pages ─► CommitPage ─► apply: ListActions ─► destination ─► ReportOutcomes ─► FinishRun
//!            └ heartbeat beside all of it: RenewLease, until it says stop
//! lease ─► ingest: feed pages ─► PlanRun ─► a look at the destination ─► ReportFindings ─► FinishRun
//! lease ─► verify: ListApplied ─► every file of the destination read ─► ReportFindings ─► FinishRun
//!            └ to heal: ReportDrift as well, and then all that the first line says
//! ```

mod apply;
mod bandwidth;
mod end;
mod execute;
mod file_state;
mod findings;
mod foresight;
mod heartbeat;
mod ingest;
mod links;
mod meter;
mod plan;
mod ranges;
mod recover;
mod run;
mod service;
mod throttle;
mod tokens;
mod transfer;
mod verify;

use std::{sync::Arc, time::Duration};

pub use bandwidth::{BandwidthError, bandwidth};
pub use end::{RunEnd, WorkerError};
pub use graph_client::{Bandwidth, GraphConfig};
use graph_client::{ConfigError, GraphClient};
use service_kit::clock::Clock;
use tokio_util::sync::CancellationToken;
pub use tonic::transport::Endpoint;

pub use crate::destination::{DEFAULT_BIN_RETENTION, DEFAULT_RESERVE};
use crate::{
    domain::names::SourceName,
    worker::{service::SyncService, throttle::Clients, tokens::TokenService},
};

/// How long `serve` and the first call of `drain` let the service wait for a due source.
const LEASE_WAIT: Duration = Duration::from_secs(20);

/// Pause after the service could not be reached, while serving.
const SERVICE_PAUSE: Duration = Duration::from_secs(5);

/// What a worker needs to know.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where sync-service is.
    pub sync_service: Endpoint,
    /// Where token-service is.
    pub token_service: Endpoint,
    /// How to reach Graph.
    pub graph: GraphConfig,
    /// The worker's name, shown to people.
    pub name: String,
    /// Files transferred at once.
    pub transfers: usize,
    /// Download links kept in memory before the listing waits for their transfers; [`DEFAULT_LINKS`].
    pub links: usize,
    /// How long files deleted from a folder are kept in its bin, counted in days; zero for not at all.
    pub bin_retention: Duration,
    /// Bytes of a folder's file system that no transfer uses up.
    pub disk_reserve: u64,
}

/// Longest time to connect to a service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The text is no address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must look like http://127.0.0.1:7401")]
pub struct AddressError;

/// Reads the address of a service, `http://host:port`.
///
/// # Errors
/// When it is none.
pub fn endpoint(address: &str) -> Result<Endpoint, AddressError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).or(Err(AddressError))?;
    let uri = endpoint.uri();
    if uri.scheme_str() != Some("http") || uri.port().is_none() || uri.path() != "/" {
        return Err(AddressError);
    }
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT))
}

/// Default of [`WorkerConfig::transfers`]. How many requests are under way follows what the provider bears.
pub const DEFAULT_TRANSFERS: usize = 32;

/// Default of [`WorkerConfig::links`].
pub const DEFAULT_LINKS: usize = links::MAX_LINKS;
/// So many MiB in bytes.
pub fn mebibytes(number: u32) -> u64 {
    u64::from(number) * 1024 * 1024
}

/// A span of so many days.
pub fn days(number: u16) -> Duration {
    Duration::from_hours(24) * u32::from(number)
}

/// A worker; one run at a time.
pub struct Worker {
    service: SyncService,
    tokens: TokenService,
    graphs: Arc<Clients>,
    name: String,
    transfers: usize,
    links: usize,
    bin_retention: Duration,
    disk_reserve: u64,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl Worker {
    /// Prepares a worker. It connects when it is first used. It stops between two items when `stop` is cancelled.
    ///
    /// # Errors
    /// When the Graph settings make no client.
    pub fn new(
        config: WorkerConfig,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            service: SyncService::new(&config.sync_service, stop.clone()),
            tokens: TokenService::new(&config.token_service),
            graphs: Arc::new(Clients::new(GraphClient::new(&config.graph)?)),
            name: config.name,
            transfers: config.transfers.max(1),
            links: config.links.max(1),
            bin_retention: config.bin_retention,
            disk_reserve: config.disk_reserve,
            clock,
            stop,
        })
    }

    /// Runs one source now, due or not.
    ///
    /// # Errors
    /// When no run could be leased.
    pub async fn run_source(&self, source: &SourceName) -> Result<RunEnd, WorkerError> {
        let lease = self.service.lease(&self.name, Some(source), Duration::ZERO).await?;
        let lease = lease.ok_or(WorkerError::Protocol("a lease was asked for by name and none came"))?;
        Ok(run::run(self, lease).await)
    }

    /// Runs whatever is due until nothing is. Gives how the runs ended.
    ///
    /// # Errors
    /// When the service cannot be asked for another run.
    pub async fn drain(&self) -> Result<Vec<RunEnd>, WorkerError> {
        let mut ends = Vec::new();
        while !self.stop.is_cancelled() {
            let Some(lease) = self.service.lease(&self.name, None, Duration::ZERO).await? else { break };
            ends.push(run::run(self, lease).await);
        }
        Ok(ends)
    }

    /// Runs whatever becomes due, until stopped. Outlives an absence of the service.
    pub async fn serve(&self) {
        while !self.stop.is_cancelled() {
            // A lease that is given in the very moment of stopping runs out by itself.
            let leased = tokio::select! {
                leased = self.service.lease(&self.name, None, LEASE_WAIT) => leased,
                () = self.stop.cancelled() => break,
            };
            match leased {
                Ok(Some(lease)) => {
                    run::run(self, lease).await;
                }
                Ok(None) => {}
                Err(error) => {
                    if !self.stop.is_cancelled() {
                        tracing::warn!(%error, "cannot ask sync-service for a run; trying again");
                    }
                    tokio::select! {
                        () = tokio::time::sleep(SERVICE_PAUSE) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
            }
        }
    }
}
