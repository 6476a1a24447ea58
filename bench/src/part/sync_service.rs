//! The sync service as it is, in a process of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use clap::Args;
use migrations::{Policy, Schema};
use service_kit::{
    clock::SystemClock,
    database::{self, DatabaseUrl},
    exit::Exit,
    lifecycle::Lifecycle,
    process::Failure,
    server,
    telemetry::{self, LogFormat},
};
use sync_service::{App, Config};

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    database: DatabaseUrl,
}

impl Options {
    /// The command line that gives these options.
    pub(crate) fn arguments(database: &DatabaseUrl) -> Vec<String> {
        vec!["sync-service".to_owned(), "--database".to_owned(), database.to_string()]
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(options: Options) -> Result<Exit, Failure> {
    telemetry::init(LogFormat::Text, telemetry::DEFAULT_FILTER)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let config = Config::new(options.database);
    let connection = database::connect(&config.database, &config.pool)
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    migrations::ensure(&connection, Schema::Sync, Policy::MigrateEmbedded)
        .await
        .map_err(|error| Failure::new(Exit::Failure, error))?;
    drop(connection);
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let lifecycle = Lifecycle::new();
    let started = App::start(config, listener, &lifecycle, Arc::new(SystemClock)).await;
    let app = started.map_err(|error| Failure::new(error.exit(), error))?;
    super::announce(app.address(), &lifecycle, |_| {})?;
    Ok(super::until_told(&lifecycle).await)
}
