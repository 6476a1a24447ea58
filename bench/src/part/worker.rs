//! A worker as it is, in a process of its own, which runs a source when it is told to.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use clap::Args;
use service_kit::{
    clock::SystemClock,
    exit::Exit,
    lifecycle::Lifecycle,
    process::Failure,
    telemetry::{self, LogFormat},
};
use sync_service::{
    domain::names::SourceName,
    worker::{
        self, DEFAULT_BIN_RETENTION, DEFAULT_LINKS, DEFAULT_RESERVE, DEFAULT_TRANSFERS, Endpoint,
        GraphConfig, Worker, WorkerConfig,
    },
};
use url::Url;

/// Runs the source that is named.
pub(crate) const RUN: &str = "run ";

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long, value_parser = worker::endpoint)]
    sync_service: Endpoint,
    #[arg(long, value_parser = worker::endpoint)]
    token_service: Endpoint,
    #[arg(long)]
    graph: Url,
}

impl Options {
    /// The command line that gives these options.
    pub(crate) fn arguments(sync_service: SocketAddr, token_service: SocketAddr, graph: &str) -> Vec<String> {
        let (sync_service, token_service) =
            (format!("http://{sync_service}"), format!("http://{token_service}"));
        let words =
            ["worker", "--sync-service", &sync_service, "--token-service", &token_service, "--graph", graph];
        words.map(str::to_owned).to_vec()
    }
}

/// Waits for orders until told to stop. How a run ends, the sync service knows.
pub(crate) async fn serve(options: Options) -> Result<Exit, Failure> {
    telemetry::init(LogFormat::Text, telemetry::DEFAULT_FILTER)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let lifecycle = Lifecycle::new();
    let config = WorkerConfig {
        sync_service: options.sync_service,
        token_service: options.token_service,
        graph: GraphConfig::new(options.graph),
        name: "bench".to_owned(),
        transfers: DEFAULT_TRANSFERS,
        links: DEFAULT_LINKS,
        bin_retention: DEFAULT_BIN_RETENTION,
        disk_reserve: DEFAULT_RESERVE,
    };
    let worker = Worker::new(config, Arc::new(SystemClock), lifecycle.shutdown_token())
        .map_err(|error| Failure::new(Exit::Configuration, error))?;
    let (worker, runtime) = (Arc::new(worker), tokio::runtime::Handle::current());
    // It listens nowhere.
    super::announce(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &lifecycle, move |order| {
        let source = order.strip_prefix(RUN).and_then(|name| SourceName::parse(name).ok());
        if let Some(source) = source {
            let worker = Arc::clone(&worker);
            runtime.spawn(async move {
                if let Err(error) = worker.run_source(&source).await {
                    tracing::error!(%error, "no run could be leased");
                }
            });
        }
    })?;
    Ok(super::until_told(&lifecycle).await)
}
