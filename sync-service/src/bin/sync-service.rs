//! sync-service as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

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
use sync_service::{App, Config};

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
    App::start(Config::new(database), listener, &lifecycle, Arc::new(SystemClock))
        .await
        .map_err(|error| Failure::new(error.exit(), error))?;
    process::serve_until_told(&lifecycle).await
}
