//! The demo's stage: simulator, both services and a worker on loopback ports of their own, with their data in one folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use service_kit::{
    clock::SystemClock,
    database::{DatabaseUrl, PoolOptions},
    exit::Exit,
    server::{self, ServerLimits},
};
use simulator::{DriveHandle, DriveSpec, NameStyle, PUBLIC_CLIENT_ID, Simulator};
use sync_service::worker::{DEFAULT_BIN_RETENTION, DEFAULT_RESERVE, DEFAULT_TRANSFERS};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

use super::{CONNECTION, SOURCE};
use crate::{
    client::{Address, Endpoints},
    embedded::{Embedded, Parts},
    failure::Failure,
};

/// The one big file.
const BIG_FILE_BYTES: u64 = 64 * 1_000_000;
/// Largest of the other files.
const MAX_FILE_BYTES: u64 = 48_000;
/// One folder for so many files.
const FILES_PER_FOLDER: u32 = 20;
/// How often the demo looks whether a code waits to be approved.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Everything that runs, and where it is.
pub(super) struct Stage {
    pub(super) drive: DriveHandle,
    pub(super) mirror: PathBuf,
    pub(super) endpoints: Endpoints,
    simulator: Simulator,
    embedded: Embedded,
    /// Goes with the stage, unless the caller named a folder.
    _temporary: Option<TempDir>,
}

impl Stage {
    /// Sets everything up.
    ///
    /// # Errors
    /// What could not be set up.
    pub(super) async fn set(dir: Option<&Path>, files: u32) -> Result<Self, Failure> {
        let (home, temporary) = home(dir)?;
        let simulator = Simulator::start(simulator::Config::default())
            .await
            .map_err(|error| Failure::from_error(Exit::Failure, "cannot start the simulator", &error))?;
        // Real polling is every five seconds; nobody wants to watch that.
        simulator.switch(|switches| switches.device.interval_seconds = 1);
        let drive = simulator
            .create_drive(&DriveSpec {
                seed: 2026,
                files,
                folders: files / FILES_PER_FOLDER,
                max_file_bytes: MAX_FILE_BYTES,
                big_files: vec![BIG_FILE_BYTES],
                names: NameStyle::Varied,
                ..DriveSpec::default()
            })
            .map_err(|error| Failure::from_error(Exit::Failure, "cannot make a drive", &error))?;
        let parts = parts(&home, &simulator).await?;
        let embedded = Embedded::start(parts, Arc::new(SystemClock)).await?;
        let endpoints = Endpoints {
            token_service: address(embedded.token_service())?,
            sync_service: address(embedded.sync_service())?,
        };
        let mirror = home.join("mirror");
        Ok(Self { drive, mirror, endpoints, simulator, embedded, _temporary: temporary })
    }

    /// Does what a person does at the provider's page.
    pub(super) async fn approve_sign_in(&self) {
        loop {
            let codes = self.simulator.pending_device_codes();
            if codes.iter().any(|code| self.simulator.approve(&code.user_code).is_ok()) {
                return;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether the simulator saw nothing that a good client does not do.
    pub(super) fn assert_well_behaved(&self) -> Result<(), Failure> {
        match self.simulator.violations().first() {
            None => Ok(()),
            Some(violation) => {
                let line = format!("the simulator saw a client misbehave: {violation:?}");
                Err(Failure::new(Exit::Failure, line))
            }
        }
    }

    /// Commands for whoever wants to look around.
    pub(super) fn things_to_try(&self) -> String {
        let (token, sync) = (self.embedded.token_service(), self.embedded.sync_service());
        // Whoever tries the demo has usually not installed the command.
        let program =
            std::env::current_exe().map_or_else(|_| "sluice".to_owned(), |path| path.display().to_string());
        let sluice = format!("{program} --token-service http://{token} --sync-service http://{sync}");
        let control = self.simulator.control();
        [
            "\nEverything is still running; ctrl-c ends it. In another terminal:".to_owned(),
            format!("  {sluice} status"),
            format!("  {sluice} connections"),
            format!("  {sluice} source list"),
            format!("  {sluice} runs {SOURCE}"),
            format!("  {sluice} sync {SOURCE}"),
            format!("  grpcurl -plaintext {token} list"),
            format!(
                "  grpcurl -plaintext -d '{{\"name\":\"{CONNECTION}\"}}' {token} sluice.token.v1.ConnectionService/GetConnection"
            ),
            format!("  grpcurl -plaintext {sync} sluice.sync.v1.RunService/ListRuns"),
            format!("  curl {control}/control/counters"),
            format!("  ls -R '{}'", self.mirror.display()),
        ]
        .join("\n")
    }

    /// Stops everything.
    pub(super) async fn strike(self) {
        self.embedded.shut_down().await;
        self.simulator.stop().await;
    }
}

fn home(dir: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), Failure> {
    let failed =
        |error: &std::io::Error| Failure::from_error(Exit::Io, "cannot use the demo's folder", error);
    match dir {
        None => {
            let temporary = TempDir::with_prefix("sluice-demo-").map_err(|error| failed(&error))?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
        Some(dir) => {
            let dir = std::path::absolute(dir).map_err(|error| failed(&error))?;
            std::fs::create_dir_all(&dir).map_err(|error| failed(&error))?;
            if dir.read_dir().map_err(|error| failed(&error))?.next().is_some() {
                let line = format!("{} is not empty; the demo needs a folder of its own", dir.display());
                return Err(Failure::new(Exit::Usage, line));
            }
            Ok((dir, None))
        }
    }
}

async fn parts(home: &Path, simulator: &Simulator) -> Result<Parts, Failure> {
    Ok(Parts {
        token_listener: free_port().await?,
        sync_listener: free_port().await?,
        token: token_service::Config {
            database: DatabaseUrl::sqlite(home.join("token.db")),
            pool: PoolOptions::default(),
            keyring: home.join("keyring.toml"),
            create_keyring: true,
            provider: token_service::ProviderConfig {
                client_id: PUBLIC_CLIENT_ID.to_owned(),
                client_secret: None,
                authority: base(&simulator.authority())?,
                directory: "common".to_owned(),
                default_scopes: Vec::new(),
            },
            webhooks: None,
            limits: ServerLimits::default(),
        },
        sync: sync_service::Config::new(DatabaseUrl::sqlite(home.join("sync.db"))),
        graph: base(&simulator.graph())?,
        workers: 1,
        transfers: DEFAULT_TRANSFERS,
        bin_retention: DEFAULT_BIN_RETENTION,
        disk_reserve: DEFAULT_RESERVE,
    })
}

async fn free_port() -> Result<TcpListener, Failure> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    server::bind(address)
        .await
        .map_err(|error| Failure::from_error(Exit::Unavailable, "cannot listen on loopback", &error))
}

fn base(text: &str) -> Result<Url, Failure> {
    Url::parse(text)
        .map_err(|error| Failure::from_error(Exit::Failure, "the simulator has no address", &error))
}

fn address(address: SocketAddr) -> Result<Address, Failure> {
    Address::parse(&format!("http://{address}")).map_err(|error| Failure::new(Exit::Failure, error))
}
