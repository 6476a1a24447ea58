//! Everything in one process: both services on their listeners and workers that speak to them over gRPC, as everybody does.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use service_kit::{
    clock::Clock,
    exit::Exit,
    lifecycle::{Drain, Lifecycle},
};
use sync_service::worker::{self, DEFAULT_LINKS, Endpoint, GraphConfig, Worker, WorkerConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::failure::Failure;

/// How long workers have to finish the item at hand and give their runs back.
const WORKER_DRAIN: Duration = Duration::from_secs(15);
/// How long the services have after that. Together below the 30 seconds that Kubernetes and most supervisors grant.
const SERVICE_DRAIN: Duration = Duration::from_secs(10);

/// What is put together.
pub struct Parts {
    /// Where the token service listens.
    pub token_listener: TcpListener,
    /// Where the sync service listens.
    pub sync_listener: TcpListener,
    /// Configuration of the token service.
    pub token: token_service::Config,
    /// Configuration of the sync service.
    pub sync: sync_service::Config,
    /// Base address of Microsoft Graph.
    pub graph: Url,
    /// Number of workers, which is the number of runs at once.
    pub workers: u8,
    /// Files that one worker transfers at once.
    pub transfers: usize,
    /// How long deleted files are kept in the bins of their folders; zero for not at all.
    pub bin_retention: Duration,
    /// Bytes of a mirror's file system that no transfer uses up.
    pub disk_reserve: u64,
}

/// Both services and the workers, running.
#[derive(Debug)]
pub struct Embedded {
    token_service: SocketAddr,
    sync_service: SocketAddr,
    services: Lifecycle,
    workers: Lifecycle,
}

/// Everything checked and nothing started: no file is made yet.
pub struct Ready {
    token_listener: TcpListener,
    sync_listener: TcpListener,
    token: token_service::Config,
    sync: sync_service::Config,
    clock: Arc<dyn Clock>,
    idle: Vec<Worker>,
    services: Lifecycle,
    workers: Lifecycle,
}

impl Parts {
    /// Checks what can be checked without touching the disk.
    ///
    /// # Errors
    /// The workers' settings are wrong.
    pub fn ready(self, clock: Arc<dyn Clock>) -> Result<Ready, Failure> {
        let (services, workers) = (Lifecycle::new(), Lifecycle::new());
        let mut idle = Vec::with_capacity(usize::from(self.workers));
        for number in 1..=self.workers {
            let config = WorkerConfig {
                sync_service: endpoint(&self.sync_listener)?,
                token_service: endpoint(&self.token_listener)?,
                graph: GraphConfig::new(self.graph.clone()),
                name: format!("embedded-{}-{number}", std::process::id()),
                transfers: self.transfers,
                links: DEFAULT_LINKS,
                bin_retention: self.bin_retention,
                disk_reserve: self.disk_reserve,
            };
            let worker =
                Worker::new(config, Arc::clone(&clock), workers.shutdown_token()).map_err(|error| {
                    Failure::from_error(Exit::Configuration, "the worker cannot start", &error)
                })?;
            idle.push(worker);
        }
        let Self { token_listener, sync_listener, token, mut sync, .. } = self;
        sync.token_service = Some(endpoint(&token_listener)?);
        Ok(Ready { token_listener, sync_listener, token, sync, clock, idle, services, workers })
    }
}

impl Ready {
    /// Starts everything. What had started when another part could not is stopped again.
    ///
    /// # Errors
    /// Which part could not start, and why.
    pub async fn start(self) -> Result<Embedded, Failure> {
        let Self { token_listener, sync_listener, token, sync, clock, idle, services, workers } = self;
        let started = async {
            let token = token_service::App::start(token, token_listener, &services, Arc::clone(&clock))
                .await
                .map_err(|error| {
                    Failure::from_error(error.exit(), "the token service cannot start", &error)
                })?;
            let sync =
                sync_service::App::start(sync, sync_listener, &services, clock).await.map_err(|error| {
                    Failure::from_error(error.exit(), "the sync service cannot start", &error)
                })?;
            Ok((token.address(), sync.address()))
        };
        match started.await {
            Ok((token_service, sync_service)) => {
                for worker in idle {
                    workers.spawn("worker", serve(worker, services.shutdown_token()));
                }
                Ok(Embedded { token_service, sync_service, services, workers })
            }
            Err(failure) => {
                services.shut_down(SERVICE_DRAIN).await;
                Err(failure)
            }
        }
    }
}

impl Embedded {
    /// Checks and starts everything.
    ///
    /// # Errors
    /// See [`Parts::ready`] and [`Ready::start`].
    pub async fn start(parts: Parts, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        parts.ready(clock)?.start().await
    }

    /// Where the token service listens.
    pub fn token_service(&self) -> SocketAddr {
        self.token_service
    }

    /// Where the sync service listens.
    pub fn sync_service(&self) -> SocketAddr {
        self.sync_service
    }

    /// Returns when a part has stopped by itself.
    pub async fn failed(&self) {
        self.services.shutdown_token().cancelled().await;
    }

    /// Stops the workers, which still need the services to give their runs back, and then the services.
    pub async fn shut_down(&self) {
        report("workers", &self.workers.shut_down(WORKER_DRAIN).await);
        report("services", &self.services.shut_down(SERVICE_DRAIN).await);
    }
}

fn report(what: &str, drain: &Drain) {
    match drain {
        Drain::Clean => tracing::info!("the {what} have stopped"),
        Drain::DeadlinePassed { still_running } => {
            tracing::warn!(task.names = ?still_running, "the {what} did not stop in time and were cut off");
        }
    }
}

/// A worker that ends in any other way than by being told stops everything: nothing would be mirrored any more.
async fn serve(worker: Worker, everything: CancellationToken) {
    let guard = everything.drop_guard();
    worker.serve().await;
    guard.disarm();
}

fn endpoint(listener: &TcpListener) -> Result<Endpoint, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::from_error(Exit::Failure, "the worker cannot reach its services", error)
    };
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    worker::endpoint(&format!("http://{address}")).map_err(|error| failed(&error))
}
