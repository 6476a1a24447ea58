//! The token service as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};
use service_kit::{
    clock::SystemClock,
    database::{DatabaseUrl, PoolOptions},
    exit::Exit,
    lifecycle::Lifecycle,
    process::{self, Failure},
    secret::SecretString,
    server::{self, ServerLimits},
    telemetry::{self, LogFormat},
};
use token_service::{
    App, Config, ProviderConfig,
    config::{DEFAULT_AUTHORITY, DEFAULT_DIRECTORY, Tuning},
    provider::ClientSecret,
};
use url::Url;

/// Keeps refresh tokens, hands out access tokens.
#[derive(Parser)]
#[command(name = "token-service", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves gRPC until SIGTERM or ctrl-c.
    Serve(Box<ServeArgs>),
}

#[derive(Args)]
struct ServeArgs {
    /// Loopback address to listen on; port 0 takes a free one.
    #[arg(long, env = "SLUICE_TOKEN_LISTEN", default_value = "127.0.0.1:7401")]
    listen: SocketAddr,
    /// Token database: `sqlite:/path/to/file.db` or `postgres://user@host/database`.
    #[arg(long, env = "SLUICE_TOKEN_DATABASE")]
    database: DatabaseUrl,
    /// File with the database password.
    #[arg(long, env = "SLUICE_TOKEN_DATABASE_PASSWORD_FILE")]
    database_password_file: Option<PathBuf>,
    /// Keyring file.
    #[arg(long, env = "SLUICE_KEYRING")]
    keyring: PathBuf,
    /// Makes the keyring if it is not there yet.
    #[arg(long, env = "SLUICE_CREATE_KEYRING")]
    create_keyring: bool,
    /// Client id of the app registration.
    #[arg(long, env = "SLUICE_CLIENT_ID")]
    client_id: String,
    /// File with the client secret, for a confidential client. It is read again when the provider refuses the secret, so a new one
    /// needs no restart.
    #[arg(long, env = "SLUICE_CLIENT_SECRET_FILE")]
    client_secret_file: Option<PathBuf>,
    /// Base address of the identity provider.
    #[arg(long, env = "SLUICE_AUTHORITY", default_value = DEFAULT_AUTHORITY)]
    authority: Url,
    /// Directory: a GUID, a domain, `common`, `organizations` or `consumers`.
    #[arg(long, env = "SLUICE_DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    directory: String,
    /// Scope of connections whose maker names none; may be given several times.
    #[arg(long = "scope", env = "SLUICE_SCOPES", value_delimiter = ' ')]
    scopes: Vec<String>,
    /// Most connections to the database; on PostgreSQL one more listens.
    #[arg(long, env = "SLUICE_TOKEN_DATABASE_CONNECTIONS", default_value_t = PoolOptions::default().max_connections,
        value_parser = clap::value_parser!(u32).range(2..=1000))]
    database_connections: u32,
    /// Seconds to wait for the database: for a free connection, and for an answer. A connection that says nothing for so long is given up.
    #[arg(long, env = "SLUICE_TOKEN_DATABASE_WAIT", default_value_t = PoolOptions::default().acquire_timeout.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=60))]
    database_wait_seconds: u64,
    /// Seconds to wait for the provider's answer to a refresh. Should this process vanish meanwhile, another replica takes over
    /// a little later than that.
    #[arg(long, env = "SLUICE_PROVIDER_TIMEOUT", default_value_t = Tuning::default().provider_timeout.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=60))]
    provider_timeout_seconds: u64,
    /// TOML file that names webhook endpoints, which are told when a connection needs a sign-in, is blocked, or works again.
    #[arg(long, env = "SLUICE_WEBHOOKS")]
    webhooks: Option<PathBuf>,
    /// Form of the log lines on stderr.
    #[arg(long, env = "SLUICE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Which log lines, in RUST_LOG's form.
    #[arg(long, env = "SLUICE_LOG", default_value = telemetry::DEFAULT_FILTER)]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::run("token-service", |cli: Cli| {
        let Command::Serve(args) = cli.command;
        serve(*args)
    })
    .await
}

async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    telemetry::init(args.log_format, &args.log).map_err(|error| Failure::new(Exit::Usage, error))?;
    let tuning = Tuning { provider_timeout: Duration::from_secs(args.provider_timeout_seconds) };
    let (listen, config) = (args.listen, config(args)?);
    let listener = server::bind(listen).await?;
    let lifecycle = Lifecycle::new();
    let started = App::start_tuned((config, tuning), listener, &lifecycle, Arc::new(SystemClock)).await;
    started.map_err(|error| Failure::new(error.exit(), error))?;
    process::serve_until_told(&lifecycle).await
}

fn config(args: ServeArgs) -> Result<Config, Failure> {
    let secret =
        |path: PathBuf| SecretString::read_file(&path).map_err(|error| Failure::new(Exit::Io, error));
    let database = match args.database_password_file.map(secret).transpose()? {
        Some(password) => args.database.with_password(password),
        None => args.database,
    };
    Ok(Config {
        database,
        pool: PoolOptions {
            max_connections: args.database_connections,
            acquire_timeout: Duration::from_secs(args.database_wait_seconds),
        },
        keyring: args.keyring,
        create_keyring: args.create_keyring,
        provider: ProviderConfig {
            client_id: args.client_id,
            client_secret: args.client_secret_file.map(ClientSecret::File),
            authority: args.authority,
            directory: args.directory,
            default_scopes: args.scopes,
        },
        webhooks: args.webhooks,
        limits: ServerLimits::default(),
    })
}
