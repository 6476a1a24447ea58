//! Puts sync-service together: the one place that knows every part.

use std::{net::SocketAddr, sync::Arc};

use migrations::{Policy, Schema, SchemaError};
use proto::sync::v1::{
    run_service_server::RunServiceServer, source_service_server::SourceServiceServer,
    worker_service_server::WorkerServiceServer,
};
use service_kit::{
    clock::Clock,
    database::{self, DatabaseError},
    exit::Exit,
    lifecycle::Lifecycle,
    server::{GrpcServer, ServeError, ServerHandle},
};
use tokio::net::TcpListener;

use crate::{
    config::Config,
    ops::{Ctx, Settings},
    rpc,
    store::Store,
    tokens,
};

/// sync-service, running.
#[derive(Clone, Copy, Debug)]
pub struct App {
    server: ServerHandle,
}

/// Why sync-service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be reached.
    #[error("the sync database cannot be used")]
    Database(#[from] DatabaseError),
    /// The schema is not the one of this version.
    #[error("the sync database has another schema than this version")]
    Schema(#[from] SchemaError),
    /// The server cannot be assembled.
    #[error("the server cannot start")]
    Serve(#[from] ServeError),
}

impl StartError {
    /// The exit code of a process that could not start.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Database(_) => Exit::Unavailable,
            Self::Schema(_) => Exit::Configuration,
            Self::Serve(_) => Exit::Failure,
        }
    }
}

impl App {
    /// Starts serving on `listener` as tasks of `lifecycle`. An embedded database is migrated; a PostgreSQL one must be current.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Config,
        listener: TcpListener,
        lifecycle: &Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let policy =
            if config.database.is_sqlite() { Policy::MigrateEmbedded } else { Policy::RequireCurrent };
        let connection = database::connect(&config.database, &config.pool).await?;
        migrations::ensure(&connection, Schema::Sync, policy).await?;
        let settings = Settings {
            full_interval: config.full_interval,
            lease_ttl: config.lease_ttl,
            caps: config.caps,
            units_per_minute: config.units_per_minute,
            follows_connections: config.token_service.is_some(),
        };
        let ctx = Ctx { settings, ..Ctx::new(Store::new(connection), clock) };
        let shutdown = lifecycle.shutdown_token();
        let follower = ctx.clone();
        let server = GrpcServer::new(lifecycle, config.limits)
            .reflection(proto::FILE_DESCRIPTOR_SET)
            .add(SourceServiceServer::new(rpc::Sources::new(ctx.clone())))
            .add(RunServiceServer::new(rpc::Runs::new(ctx.clone(), shutdown.clone())))
            .add(WorkerServiceServer::new(rpc::Workers::new(ctx, shutdown)))
            .serve(listener)?;
        if let Some(token_service) = config.token_service {
            lifecycle
                .spawn("connections", tokens::follow(follower, token_service, lifecycle.shutdown_token()));
        }
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
