//! The token service as it is, in a process of its own, with a clock that can be moved ahead.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use migrations::{Policy, Schema};
use service_kit::{
    clock::{Clock, SystemClock, Timestamp},
    database::{self, DatabaseUrl, PoolOptions},
    exit::Exit,
    lifecycle::Lifecycle,
    process::Failure,
    server::{self, ServerLimits},
    telemetry::{self, LogFormat},
};
use token_service::{App, Config, ProviderConfig};
use url::Url;

/// Moves the clock ahead by so many milliseconds.
pub(crate) const ADVANCE: &str = "advance ";
/// What the log says for a caller who waits for a refresh.
pub(crate) const WAITING: &str = "a caller waits for a refresh";
/// As an operator has it, and one line for each caller who waits.
const FILTER: &str = "info,token_service::ops::get_access_token=debug";

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    database: DatabaseUrl,
    #[arg(long)]
    keyring: PathBuf,
    #[arg(long)]
    authority: Url,
}

impl Options {
    /// The command line that gives these options.
    pub(crate) fn arguments(database: &DatabaseUrl, keyring: &str, authority: &str) -> Vec<String> {
        let database = database.to_string();
        let words =
            ["token-service", "--database", &database, "--keyring", keyring, "--authority", authority];
        words.map(str::to_owned).to_vec()
    }
}

/// The machine's clock, moved ahead.
#[derive(Default)]
struct MovedClock(AtomicU64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(options: Options) -> Result<Exit, Failure> {
    telemetry::init(LogFormat::Text, FILTER).map_err(|error| Failure::new(Exit::Usage, error))?;
    let failed = |error: migrations::SchemaError| Failure::new(Exit::Failure, error);
    let pool = PoolOptions::default();
    let connection = database::connect(&options.database, &pool)
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    migrations::ensure(&connection, Schema::Token, Policy::MigrateEmbedded).await.map_err(failed)?;
    drop(connection);

    let config = Config {
        database: options.database,
        pool,
        keyring: options.keyring,
        create_keyring: true,
        provider: ProviderConfig {
            client_id: simulator::PUBLIC_CLIENT_ID.to_owned(),
            client_secret: None,
            authority: options.authority,
            directory: "common".to_owned(),
            default_scopes: Vec::new(),
        },
        webhooks: None,
        limits: ServerLimits::default(),
    };
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let (lifecycle, clock) = (Lifecycle::new(), Arc::new(MovedClock::default()));
    let service_clock: Arc<dyn Clock> = Arc::<MovedClock>::clone(&clock);
    let started = App::start(config, listener, &lifecycle, service_clock).await;
    let app = started.map_err(|error| Failure::new(error.exit(), error))?;
    super::announce(app.address(), &lifecycle, move |order| {
        if let Some(millis) = order.strip_prefix(ADVANCE).and_then(|millis| millis.parse().ok()) {
            clock.0.fetch_add(millis, Ordering::Relaxed);
        }
    })?;
    Ok(super::until_told(&lifecycle).await)
}
