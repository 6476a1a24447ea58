//! `sluice up`: both services and workers on this machine, in one process, on SQLite.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde::Serialize;
use service_kit::{
    clock::SystemClock,
    database::{DatabaseUrl, PoolOptions},
    exit::Exit,
    lifecycle::terminate_signal,
    process,
    secret::SecretString,
    server::{self, ServerLimits},
    telemetry::{self, LogFormat},
};
use sync_service::worker::{self, DEFAULT_TRANSFERS};
use token_service::config::{DEFAULT_AUTHORITY, DEFAULT_DIRECTORY};
use tokio::net::TcpListener;
use url::Url;

use crate::{
    embedded::{Embedded, Parts},
    failure::Failure,
    output::{Output, details},
};

/// Runs at once, unless asked otherwise.
const DEFAULT_RUNS: u8 = 2;

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Folder for the databases and the keyring; made if it is not there, for its owner alone.
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Client id of the app registration that accounts consent to.
    #[arg(long, env = "SLUICE_CLIENT_ID", value_name = "ID")]
    client_id: String,
    /// File with the client secret, for a confidential client.
    #[arg(long, env = "SLUICE_CLIENT_SECRET_FILE", value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Base address of the identity provider.
    #[arg(long, env = "SLUICE_AUTHORITY", value_name = "URL", default_value = DEFAULT_AUTHORITY)]
    authority: Url,
    /// Directory that may sign in: a GUID, a domain, common, organizations or consumers.
    #[arg(long, env = "SLUICE_DIRECTORY", default_value = DEFAULT_DIRECTORY)]
    directory: String,
    /// TOML file of the webhook endpoints to tell of state changes; docs/WEBHOOKS.md describes it.
    #[arg(long, env = "SLUICE_WEBHOOKS", value_name = "FILE")]
    webhooks: Option<PathBuf>,
    /// Base address of Microsoft Graph; national clouds have their own.
    #[arg(long, env = "SLUICE_GRAPH", value_name = "URL", default_value = "https://graph.microsoft.com")]
    graph: Url,
    /// Loopback address of the token service; port 0 takes a free one.
    #[arg(long, env = "SLUICE_TOKEN_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7401")]
    listen_token: SocketAddr,
    /// Loopback address of the sync service; port 0 takes a free one.
    #[arg(long, env = "SLUICE_SYNC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7402")]
    listen_sync: SocketAddr,
    /// Sources mirrored at once, 1 to 16.
    #[arg(long, env = "SLUICE_RUNS", value_name = "NUMBER", default_value_t = DEFAULT_RUNS,
          value_parser = clap::value_parser!(u8).range(1..=16))]
    runs: u8,
    /// Days for which files that are deleted from a mirror are kept in its bin, .sluice/bin, 0 to 3650; 0 keeps none.
    #[arg(long, env = "SLUICE_BIN_DAYS", value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u16).range(0..=3650))]
    bin_days: u16,
    /// MiB of a mirror's file system that no transfer uses up; the oldest days of the bin make way first.
    #[arg(long, env = "SLUICE_DISK_RESERVE_MIB", value_name = "MIB", default_value_t = 256)]
    disk_reserve_mib: u32,
    /// Form of the log lines on stderr.
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_name = "FORM", default_value = "text")]
    log_format: LogFormat,
    /// Which log lines, in RUST_LOG's form.
    #[arg(long, env = "SLUICE_LOG", value_name = "FILTER", default_value = telemetry::DEFAULT_FILTER)]
    log: String,
}

#[derive(Serialize)]
struct Started {
    token_service: String,
    sync_service: String,
    data_dir: String,
}

/// Runs everything until SIGTERM or ctrl-c, then drains.
///
/// # Errors
/// Something could not start, or stopped by itself.
pub async fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    telemetry::init(arguments.log_format, &arguments.log)
        .map_err(|error| Failure::from_error(Exit::Usage, "cannot log", &error))?;
    // What can be refused is refused before anything is made on disk.
    let token_listener = bind(arguments.listen_token).await?;
    let sync_listener = bind(arguments.listen_sync).await?;
    // The service reads it by itself; what cannot be read is refused here.
    arguments.client_secret_file.as_deref().map(read_secret).transpose()?;
    let data_dir = std::path::absolute(&arguments.data_dir)
        .map_err(|error| Failure::from_error(Exit::Usage, "cannot use --data-dir", &error))?;
    let parts = Parts {
        token_listener,
        sync_listener,
        token: token_service::Config {
            database: DatabaseUrl::sqlite(data_dir.join("token.db")),
            pool: PoolOptions::default(),
            keyring: data_dir.join("keyring.toml"),
            create_keyring: true,
            provider: token_service::ProviderConfig {
                client_id: arguments.client_id,
                client_secret: arguments.client_secret_file.map(token_service::provider::ClientSecret::File),
                authority: arguments.authority,
                directory: arguments.directory,
                default_scopes: Vec::new(),
            },
            webhooks: arguments.webhooks,
            limits: ServerLimits::default(),
        },
        sync: sync_service::Config::new(DatabaseUrl::sqlite(data_dir.join("sync.db"))),
        graph: arguments.graph,
        workers: arguments.runs,
        transfers: DEFAULT_TRANSFERS,
        bin_retention: worker::days(arguments.bin_days),
        disk_reserve: worker::mebibytes(arguments.disk_reserve_mib),
    };
    let ready = parts.ready(Arc::new(SystemClock))?;
    let _lock = claim(&data_dir)?;
    let embedded = ready.start().await?;
    let ended = match announce(&embedded, &data_dir, output) {
        Ok(()) => until_told(&embedded).await,
        Err(failure) => Err(failure),
    };
    tokio::select! {
        () = embedded.shut_down() => ended,
        () = terminate_signal() => {
            Err(Failure::new(Exit::TryAgain, "told twice to stop: stopped at once; what was under way is taken up again"))
        }
    }
}

async fn until_told(embedded: &Embedded) -> Result<Exit, Failure> {
    tokio::select! {
        () = terminate_signal() => Ok(Exit::Done),
        () = embedded.failed() => Err(Failure::new(Exit::Failure, "a part stopped by itself; the log says why")),
    }
}

fn announce(embedded: &Embedded, data_dir: &Path, output: Output) -> Result<(), Failure> {
    let started = Started {
        token_service: format!("http://{}", embedded.token_service()),
        sync_service: format!("http://{}", embedded.sync_service()),
        data_dir: data_dir.display().to_string(),
    };
    output.result(&started, |started| {
        details(&[
            ("token service", &started.token_service),
            ("sync service", &started.sync_service),
            ("data", &started.data_dir),
            ("next", "sluice connect tenants/acme/connections/mail"),
            ("stop", "ctrl-c"),
        ])
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    server::bind(address).await.map_err(|error| {
        let failure = process::Failure::from(error);
        Failure::new(failure.exit, service_kit::error_chain::ErrorChain(&*failure.error).to_string())
    })
}

fn read_secret(path: &Path) -> Result<SecretString, Failure> {
    SecretString::read_file(path)
        .map_err(|error| Failure::from_error(Exit::Configuration, "cannot use --client-secret-file", &error))
}

/// Makes the folder if it is not there and keeps it from a second `sluice up`.
fn claim(data_dir: &Path) -> Result<File, Failure> {
    let failed = |error: &std::io::Error| {
        let what = format!("cannot use --data-dir {}", data_dir.display());
        Failure::from_error(Exit::Io, &what, error)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| failed(&error))?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(data_dir.join("lock"))
        .map_err(|error| failed(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let line =
                format!("another `sluice up` uses {}; stop it or choose another folder", data_dir.display());
            Err(Failure::new(Exit::Configuration, line))
        }
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}
