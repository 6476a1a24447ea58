//! A simulator and a token service, as a test needs them.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use proto::token::v1::{
    self as wire, authorization_service_client::AuthorizationServiceClient,
    connection_service_client::ConnectionServiceClient, create_connection_request::Credential,
    token_service_client::TokenServiceClient,
};
use sea_orm::{Database, DatabaseConnection};
use service_kit::{
    clock::{Clock, SystemClock, Timestamp},
    database::{DatabaseUrl, PoolOptions},
    lifecycle::Lifecycle,
    secret::SecretString,
    server::{self, ServerLimits},
};
use simulator::{Config as SimulatorConfig, FIRST_USER, PUBLIC_CLIENT_ID, Simulator};
use tempfile::TempDir;
use token_service::{App, Config, ProviderConfig, StartError, provider::ClientSecret};
use tonic::{Status, transport::Channel};

/// The longest a test waits for a condition.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Scopes that imported refresh tokens carry.
pub(crate) const SCOPES: &str = "Files.Read.All User.Read offline_access openid profile";

/// The machine's clock, moved on by a test, or stopped by it.
#[derive(Default)]
pub(crate) struct ShiftedClock {
    shift: AtomicI64,
    /// The instant at which it stands; zero while it runs.
    stopped: AtomicI64,
}

impl ShiftedClock {
    /// Makes it stand: what is bounded by time alone never ends from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(self.now().as_millis(), Ordering::SeqCst);
    }

    /// Lets it run again.
    pub(crate) fn run(&self) {
        self.stopped.store(0, Ordering::SeqCst);
    }

    fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap();
        self.shift.fetch_add(millis, Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) != 0 {
            self.stopped.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        match self.stopped.load(Ordering::SeqCst) {
            0 => Timestamp::from_millis(SystemClock.now().as_millis() + self.shift.load(Ordering::SeqCst)),
            stopped => Timestamp::from_millis(stopped),
        }
    }
}

/// A running token service and its clients.
pub(crate) struct Service {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) tokens: TokenServiceClient<Channel>,
    pub(crate) connections: ConnectionServiceClient<Channel>,
    pub(crate) authorizations: AuthorizationServiceClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        let drain = self.lifecycle.shut_down(PATIENCE).await;
        assert_eq!(drain, service_kit::lifecycle::Drain::Clean);
    }
}

/// A simulator, a folder, and what a service started in it shares.
pub(crate) struct World {
    pub(crate) sim: Simulator,
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ShiftedClock>,
}

impl World {
    /// A simulator that lets a test set the pace.
    pub(crate) async fn new() -> Self {
        let sim = Simulator::start_strict(SimulatorConfig::default()).await.unwrap();
        sim.switch(|switches| switches.device.interval_seconds = 1);
        Self { sim, folder: tempfile::tempdir().unwrap(), clock: Arc::default() }
    }

    /// A world with one service in it.
    pub(crate) async fn with_service() -> (Self, Service) {
        let world = Self::new().await;
        let service = world.start().await.unwrap();
        (world, service)
    }

    pub(crate) fn database_path(&self) -> PathBuf {
        self.folder.path().join("token.db")
    }

    pub(crate) fn keyring_path(&self) -> PathBuf {
        self.folder.path().join("keyring.toml")
    }

    /// The token database, beside the service.
    pub(crate) async fn open_database(&self) -> DatabaseConnection {
        Database::connect(format!("sqlite:{}", self.database_path().display())).await.unwrap()
    }

    /// The configuration of a service in this world.
    pub(crate) fn config(&self) -> Config {
        Config {
            database: DatabaseUrl::sqlite(self.database_path()),
            pool: PoolOptions::default(),
            keyring: self.keyring_path(),
            create_keyring: true,
            provider: ProviderConfig {
                client_id: PUBLIC_CLIENT_ID.to_owned(),
                client_secret: None,
                authority: self.sim.authority().parse().unwrap(),
                directory: "organizations".to_owned(),
                default_scopes: Vec::new(),
            },
            webhooks: None,
            limits: ServerLimits::default(),
        }
    }

    /// A configuration as the confidential app, with a secret of one's own.
    pub(crate) fn confidential(&self, secret: &str) -> Config {
        let mut config = self.config();
        config.provider.client_id = simulator::CONFIDENTIAL_CLIENT_ID.to_owned();
        config.provider.client_secret = Some(ClientSecret::Fixed(SecretString::new(secret.to_owned())));
        config
    }

    /// Starts a service.
    pub(crate) async fn start(&self) -> Result<Service, StartError> {
        self.start_with(self.config()).await
    }

    /// Starts a service that is configured otherwise.
    pub(crate) async fn start_with(&self, config: Config) -> Result<Service, StartError> {
        let lifecycle = Lifecycle::new();
        let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let clock: Arc<ShiftedClock> = Arc::clone(&self.clock);
        let app = App::start(config, listener, &lifecycle, clock).await?;
        let channel =
            Channel::from_shared(format!("http://{}", app.address())).unwrap().connect().await.unwrap();
        Ok(Service {
            lifecycle,
            tokens: TokenServiceClient::new(channel.clone()),
            connections: ConnectionServiceClient::new(channel.clone()),
            authorizations: AuthorizationServiceClient::new(channel.clone()),
            channel,
            address: app.address(),
        })
    }

    /// Lets time pass for the service and for the simulator.
    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.sim.clock().advance(span);
    }

    /// A refresh token of the first user, for the app that the service is by default.
    pub(crate) fn refresh_token(&self) -> String {
        self.sim.issue_refresh_token(PUBLIC_CLIENT_ID, SCOPES, FIRST_USER).unwrap()
    }
}

/// A request to import a refresh token as `tenants/acme/connections/{id}`.
pub(crate) fn import(id: &str, refresh_token: String) -> wire::CreateConnectionRequest {
    wire::CreateConnectionRequest {
        parent: "tenants/acme".to_owned(),
        connection_id: id.to_owned(),
        display_name: "Adele's files".to_owned(),
        scopes: Vec::new(),
        credential: Some(Credential::RefreshToken(wire::RefreshTokenCredential { refresh_token })),
    }
}

impl Service {
    /// Imports a refresh token of the first user.
    pub(crate) async fn connect(&mut self, world: &World, id: &str) -> wire::Connection {
        let request = import(id, world.refresh_token());
        self.connections.create_connection(request).await.unwrap().into_inner().connection.unwrap()
    }

    /// Asks for a token.
    pub(crate) async fn token(
        &self,
        request: wire::GetAccessTokenRequest,
    ) -> Result<wire::GetAccessTokenResponse, Status> {
        self.tokens.clone().get_access_token(request).await.map(tonic::Response::into_inner)
    }

    /// Reads a connection.
    pub(crate) async fn connection(&self, name: &str) -> wire::Connection {
        let request = wire::GetConnectionRequest { name: name.to_owned() };
        self.connections.clone().get_connection(request).await.unwrap().into_inner().connection.unwrap()
    }
}

/// The plain request for a token of `tenants/acme/connections/{id}`.
pub(crate) fn ask(id: &str) -> wire::GetAccessTokenRequest {
    wire::GetAccessTokenRequest { connection: name(id), ..Default::default() }
}

/// `tenants/acme/connections/{id}`.
pub(crate) fn name(id: &str) -> String {
    format!("tenants/acme/connections/{id}")
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}
