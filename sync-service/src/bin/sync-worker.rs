//! sync-worker: makes destinations equal to drives. Keeps nothing, so any number may run at once.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use service_kit::{
    clock::SystemClock,
    exit::Exit,
    lifecycle::terminate_signal,
    process::{self, Failure},
    telemetry::{self, LogFormat},
};
use sync_service::{
    domain::names::SourceName,
    worker::{
        self, Bandwidth, DEFAULT_LINKS, DEFAULT_TRANSFERS, Endpoint, GraphConfig, RunEnd, Worker,
        WorkerConfig, WorkerError,
    },
};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Mirrors drives: leases runs from sync-service, gets tokens from token-service.
///
/// Exit codes: 0 done, 75 try again later, 77 a person must act, 78 configuration.
#[derive(Parser)]
#[command(name = "sync-worker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one source now, due or not.
    Run {
        /// The source, tenants/{tenant}/sources/{source}.
        #[arg(long, value_parser = SourceName::parse)]
        source: SourceName,
    },
    /// Runs whatever is due, and makes the plans and verifications that were asked for, until there is nothing: the form for CronJobs,
    /// any number in parallel.
    Drain,
    /// Runs whatever becomes due, and makes the plans and verifications that are asked for, until SIGTERM or ctrl-c.
    Serve,
}

#[derive(Args)]
struct Options {
    /// Address of sync-service.
    #[arg(long, global = true, env = "SLUICE_SYNC_SERVICE", default_value = "http://127.0.0.1:7402",
          value_parser = worker::endpoint)]
    sync_service: Endpoint,
    /// Address of token-service.
    #[arg(long, global = true, env = "SLUICE_TOKEN_SERVICE", default_value = "http://127.0.0.1:7401",
          value_parser = worker::endpoint)]
    token_service: Endpoint,
    /// Address of Microsoft Graph; national clouds have their own.
    #[arg(long, global = true, env = "SLUICE_GRAPH", default_value = "https://graph.microsoft.com")]
    graph: Url,
    /// This worker's name, shown to people. Default: host name and process id.
    #[arg(long, global = true, env = "SLUICE_WORKER_NAME")]
    name: Option<String>,
    /// Files transferred at once, 1 to 256.
    #[arg(long, global = true, env = "SLUICE_TRANSFERS", default_value_t = u16::try_from(DEFAULT_TRANSFERS).unwrap_or(16),
          value_parser = clap::value_parser!(u16).range(1..=256))]
    transfers: u16,
    /// Days for which files that are deleted from a folder are kept in its bin, `.sluice/bin`, 0 to 3650; 0 keeps none.
    #[arg(long, global = true, env = "SLUICE_BIN_DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u16).range(0..=3650))]
    bin_days: u16,
    /// MiB of a folder's file system that no transfer uses up; the oldest days of the bin make way first.
    #[arg(long, global = true, env = "SLUICE_DISK_RESERVE_MIB", default_value_t = 256)]
    disk_reserve_mib: u32,
    /// Most bytes of file contents received per second by this process, for example 10MiB/s; no limit by default.
    #[arg(long, global = true, env = "SLUICE_BANDWIDTH_LIMIT", value_parser = worker::bandwidth)]
    bandwidth_limit: Option<u64>,
    /// Form of the log lines on stderr.
    #[arg(long, global = true, env = "SLUICE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Which log lines, in RUST_LOG's form.
    #[arg(long, global = true, env = "SLUICE_LOG", default_value = telemetry::DEFAULT_FILTER)]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::run("sync-worker", work).await
}

async fn work(cli: Cli) -> Result<Exit, Failure> {
    let options = cli.options;
    telemetry::init(options.log_format, &options.log).map_err(|error| Failure::new(Exit::Usage, error))?;
    let stop = CancellationToken::new();
    let config = WorkerConfig {
        sync_service: options.sync_service,
        token_service: options.token_service,
        graph: GraphConfig {
            bandwidth: options.bandwidth_limit.map(|limit| Arc::new(Bandwidth::new(limit))),
            ..GraphConfig::new(options.graph)
        },
        name: options.name.unwrap_or_else(default_name),
        transfers: usize::from(options.transfers),
        links: DEFAULT_LINKS,
        bin_retention: worker::days(options.bin_days),
        disk_reserve: worker::mebibytes(options.disk_reserve_mib),
    };
    let worker = Worker::new(config, Arc::new(SystemClock), stop.clone())
        .map_err(|error| Failure::new(Exit::Configuration, error))?;
    let command = async {
        match cli.command {
            Command::Run { source } => exit(worker.run_source(&source).await.map(|end| vec![end])),
            Command::Drain => exit(worker.drain().await),
            Command::Serve => {
                worker.serve().await;
                Ok(Exit::Done)
            }
        }
    };
    let told = async {
        terminate_signal().await;
        stop.cancel();
        // The command ends by itself now: between two items, with its lease given back.
        tokio::time::sleep(process::DRAIN_DEADLINE).await;
    };
    tokio::select! {
        result = command => result,
        () = told => Err(Failure::new(Exit::TryAgain, "the work did not end in time; another worker takes the run over")),
    }
}

/// The gravest end of all runs.
fn exit(ends: Result<Vec<RunEnd>, WorkerError>) -> Result<Exit, Failure> {
    match ends {
        Ok(ends) => Ok(ends.iter().map(RunEnd::exit).max().unwrap_or(Exit::Done)),
        Err(error) => Err(Failure::new(error.exit(), error)),
    }
}

fn default_name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}-{}", std::process::id())
}
