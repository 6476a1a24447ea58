//! sync-service as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};
use service_kit::{
    clock::SystemClock,
    database::DatabaseUrl,
    exit::Exit,
    lifecycle::Lifecycle,
    process::{self, Failure},
    secret::SecretString,
    server,
    telemetry::{self, LogFormat},
};
use sync_service::{
    App, Config,
    domain::fairness::Caps,
    worker::{self, Endpoint},
};

/// Keeps sources, runs, cursors and the index of items.
#[derive(Parser)]
#[command(name = "sync-service", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves gRPC until SIGTERM or ctrl-c.
    Serve(ServeArgs),
}

#[derive(Args)]
struct ServeArgs {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, env = "SLUICE_SYNC_LISTEN", default_value = "127.0.0.1:7402")]
    listen: SocketAddr,
    /// Sync database: `sqlite:/path/to/file.db` or `postgres://user@host/database`.
    #[arg(long, env = "SLUICE_SYNC_DATABASE")]
    database: DatabaseUrl,
    /// File with the database password.
    #[arg(long, env = "SLUICE_SYNC_DATABASE_PASSWORD_FILE")]
    database_password_file: Option<PathBuf>,
    /// Address of token-service, such as http://127.0.0.1:7401: a source whose connection is broken then sleeps, and wakes as soon as
    /// somebody has signed in again. Without it, such a source is tried at its interval.
    #[arg(long, env = "SLUICE_TOKEN_SERVICE", value_parser = worker::endpoint)]
    token_service: Option<Endpoint>,
    /// Hours between full comparisons of a drive with the index, for sources that name none; 1 to 2160. They find what a drive's feed
    /// did not tell.
    #[arg(long, env = "SLUICE_FULL_LISTING_HOURS", default_value_t = 168, value_parser = clap::value_parser!(u16).range(1..=2160))]
    full_listing_hours: u16,
    /// Seconds until the run of a worker that died is taken over by another one, 2 to 3600.
    #[arg(long, env = "SLUICE_LEASE_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(2..=3600))]
    lease_seconds: u16,
    /// Most runs at once of one tenant.
    #[arg(long, env = "SLUICE_MAX_RUNS_PER_TENANT", default_value_t = Caps::default().tenant,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_runs_per_tenant: u32,
    /// Most runs at once with one connection.
    #[arg(long, env = "SLUICE_MAX_RUNS_PER_CONNECTION", default_value_t = Caps::default().connection,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_runs_per_connection: u32,
    /// Microsoft's resource units that one application may use in a minute in one directory, over all workers; each run gets its part.
    /// SharePoint grants 1250 up to 1,000 licences, 2500 up to 5,000, 3750 up to 15,000, 5000 up to 50,000, and 6250 beyond. Without it,
    /// what its answers say, where they do.
    #[arg(long, env = "SLUICE_UNITS_PER_MINUTE", value_parser = clap::value_parser!(u32).range(1..))]
    units_per_minute: Option<u32>,
    /// Form of the log lines on stderr.
    #[arg(long, env = "SLUICE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Which log lines, in RUST_LOG's form.
    #[arg(long, env = "SLUICE_LOG", default_value = telemetry::DEFAULT_FILTER)]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::run("sync-service", |cli: Cli| {
        let Command::Serve(args) = cli.command;
        serve(args)
    })
    .await
}

async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    telemetry::init(args.log_format, &args.log).map_err(|error| Failure::new(Exit::Usage, error))?;
    let database = match args.database_password_file {
        Some(file) => {
            let password = SecretString::read_file(&file).map_err(|error| Failure::new(Exit::Io, error))?;
            args.database.with_password(password)
        }
        None => args.database,
    };
    let listener = server::bind(args.listen).await?;
    let lifecycle = Lifecycle::new();
    let config = Config {
        full_interval: Duration::from_hours(u64::from(args.full_listing_hours)),
        lease_ttl: Duration::from_secs(u64::from(args.lease_seconds)),
        caps: Caps { tenant: args.max_runs_per_tenant, connection: args.max_runs_per_connection },
        units_per_minute: args.units_per_minute,
        token_service: args.token_service,
        ..Config::new(database)
    };
    App::start(config, listener, &lifecycle, Arc::new(SystemClock))
        .await
        .map_err(|error| Failure::new(error.exit(), error))?;
    process::serve_until_told(&lifecycle).await
}
