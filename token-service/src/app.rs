//! Puts the service together and starts it: the one file that knows every part.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use migrations::{Policy, Schema, SchemaError};
use service_kit::{
    clock::Clock,
    database::{self, DatabaseError},
    exit::Exit,
    lifecycle::Lifecycle,
    server::{GrpcServer, ServeError, ServerHandle},
};
use tokio::net::TcpListener;

use crate::{
    config::{Config, DEFAULT_SCOPES, Tuning},
    crypto::{FileKeyring, KeyringError},
    domain::scopes::{ScopeError, ScopeSet},
    ops::{self, Context, KeyringMismatch, Parts, RefreshTimes},
    provider::{Entra, EntraConfig, EntraConfigError},
    rpc,
    store::{Store, StoreError},
    webhook::{self, SenderError, WebhookConfigError},
};

/// A token service that is running, until its lifecycle ends it.
#[derive(Clone, Copy, Debug)]
pub struct App {
    server: ServerHandle,
}

/// Why the service did not start. Nothing is half done: what was refused is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The identity provider's settings are wrong.
    #[error(transparent)]
    Provider(#[from] EntraConfigError),
    /// The default scopes are wrong.
    #[error("the list of default scopes {0}")]
    Scopes(ScopeError),
    /// The webhook endpoints cannot be used.
    #[error(transparent)]
    Webhooks(#[from] WebhookConfigError),
    /// Webhooks cannot be sent.
    #[error(transparent)]
    WebhookSender(#[from] SenderError),
    /// The keyring cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The keyring is missing, and the database needs the one it was sealed with.
    #[error("keyring {} does not exist, but the database was sealed with one: restore that file", .0.display())]
    KeyringLost(PathBuf),
    /// The keyring is another one than the database was sealed with.
    #[error(transparent)]
    KeyringMismatch(#[from] KeyringMismatch),
    /// The database cannot be reached.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database's schema is not this version's.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server did not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl StartError {
    /// The exit code of a process that cannot start for this reason.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Keyring(KeyringError::Read { .. } | KeyringError::Create { .. })
            | Self::Provider(EntraConfigError::ClientSecretFile(_))
            | Self::Webhooks(WebhookConfigError::Read { .. } | WebhookConfigError::SecretFile { .. })
            | Self::Database(DatabaseError::File { .. }) => Exit::Io,
            Self::KeyringMismatch(KeyringMismatch::Store(_))
            | Self::Store(_)
            | Self::Database(_)
            | Self::Schema(SchemaError::Read { .. } | SchemaError::Change { .. }) => Exit::Unavailable,
            Self::Provider(_)
            | Self::Scopes(_)
            | Self::Webhooks(_)
            | Self::WebhookSender(_)
            | Self::Keyring(_)
            | Self::KeyringLost(_)
            | Self::KeyringMismatch(_)
            | Self::Schema(_) => Exit::Configuration,
            Self::Serve(_) => Exit::Failure,
        }
    }
}

impl App {
    /// Starts the service on a listener. It runs as tasks of the lifecycle, also when this is dropped.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Config,
        listener: TcpListener,
        lifecycle: &Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::start_tuned((config, Tuning::default()), listener, lifecycle, clock).await
    }

    /// As [`start`](Self::start), tuned.
    pub async fn start_tuned(
        (config, tuning): (Config, Tuning),
        listener: TcpListener,
        lifecycle: &Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        // What needs no database comes first: a wrong flag must not leave an empty database behind.
        let provider = config.provider;
        let default_scopes = default_scopes(&provider.default_scopes)?;
        let provider = Entra::new(EntraConfig {
            client_id: provider.client_id,
            client_secret: provider.client_secret,
            authority: provider.authority,
            directory: provider.directory,
        })?;
        let webhooks = match &config.webhooks {
            Some(path) => Some((webhook::Sender::new()?, webhook::read_endpoints(path)?)),
            None => None,
        };
        let keyring = match FileKeyring::read(&config.keyring) {
            Err(KeyringError::Missing { .. }) if config.create_keyring => None,
            read => Some(read?),
        };

        let database = database::connect(&config.database, &config.pool).await?;
        let policy =
            if config.database.is_sqlite() { Policy::MigrateEmbedded } else { Policy::RequireCurrent };
        migrations::ensure(&database, Schema::Token, policy).await?;
        let store = Store::new(database, config.pool.acquire_timeout, Arc::clone(&clock));
        let keyring = match keyring {
            Some(keyring) => keyring,
            None if ops::database_has_canaries(&store).await? => {
                return Err(StartError::KeyringLost(config.keyring));
            }
            None => FileKeyring::create(&config.keyring)?,
        };
        ops::check_keyring(&store, &keyring, clock.now()).await?;

        let context = Context::new(Parts {
            store,
            keys: Arc::new(keyring),
            provider: Arc::new(provider),
            clock,
            lifecycle: lifecycle.clone(),
            default_scopes,
            refresh_times: RefreshTimes { provider_timeout: tuning.provider_timeout },
        });
        let server =
            rpc::register(GrpcServer::new(lifecycle, config.limits), Arc::clone(&context)).serve(listener)?;
        lifecycle.spawn("change feed", ops::change_feed::follow(Arc::clone(&context)));
        lifecycle.spawn("change listener", ops::change_feed::listen(Arc::clone(&context)));
        lifecycle.spawn("refresh ahead", ops::refresh_ahead::run(Arc::clone(&context)));
        if let Some((sender, endpoints)) = webhooks {
            lifecycle.spawn("webhooks", ops::deliver_webhooks::run(Arc::clone(&context), sender, endpoints));
        }
        lifecycle.spawn("authorization poller", ops::poll_authorizations::run(context));
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn default_scopes(configured: &[String]) -> Result<ScopeSet, StartError> {
    let scopes =
        if configured.is_empty() { ScopeSet::parse(DEFAULT_SCOPES) } else { ScopeSet::parse(configured) };
    scopes.map_err(StartError::Scopes)
}
