//! A gRPC server as both services have it: limits, health, reflection, and an end in good order.
//!
//! What every request passes through (`concerns`), from the outside in:
//!
//! 1. `request_span`: a request id and a span, so that every line below can be found again, and one line about the outcome;
//! 2. `admission`: before any work is done, and counting what is under way until its last byte is sent;
//! 3. `deadline`: no request holds a place for ever, whatever deadline its caller set or forgot;
//! 4. `catch_panic`: inside the span, so that the report of a panic has the request id;
//! 5. `routes`: finds the service that the request is for;
//! 6. `stream_end`: around the answer, ends streams when the server stops.
//!
//! Every streamed answer is made by [`streamed()`].

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use http::{Request, Response};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::Service;

use crate::lifecycle::Lifecycle;

mod admission;
mod catch_panic;
mod concerns;
mod connections;
mod deadline;
mod request_span;
mod routes;
mod stream_end;
mod streamed;

pub use streamed::{Streamed, streamed};

use concerns::Concerns;
use routes::{Answer, Routes};

/// Most bytes of one gRPC message, either way. tonic's own limit for what it receives; senders keep to it.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of a request's headers.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How often an idle connection is asked whether anybody is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Most connections open at once; more wait until one closes.
    pub max_connections: usize,
    /// Most requests under way at once, streams included; more are answered `RESOURCE_EXHAUSTED` `OVERLOADED`. Health checks
    /// do not count.
    pub max_in_flight: usize,
    /// Most requests under way on one connection.
    pub max_streams_per_connection: u32,
    /// How long a handler may take until its answer begins; more is answered `UNAVAILABLE` `REQUEST_TIMEOUT`.
    pub request_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_in_flight: 1024,
            max_streams_per_connection: 256,
            request_timeout: Duration::from_mins(1),
        }
    }
}

/// Why a server cannot listen. `Display` is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address can be reached from other machines.
    #[error(
        "refusing to listen on {0}: without TLS and caller identity only loopback addresses (127.0.0.1, [::1]) are allowed"
    )]
    NotLoopback(SocketAddr),
    /// Something else listens there.
    #[error("cannot listen on {0}: the port is in use; stop the other program or choose another port")]
    InUse(SocketAddr),
    /// The port is one for privileged programs.
    #[error("cannot listen on {0}: permission denied; choose a port above 1023")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Listens on a loopback address; port 0 takes a free one.
///
/// # Errors
/// See [`BindError`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(BindError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            BindError::InUse(address)
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            BindError::Denied(address)
        } else {
            BindError::Other { address, source }
        }
    })
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The descriptors for reflection are not ones.
    #[error("cannot offer gRPC reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The listener does not say where it listens.
    #[error("cannot read the listener's address")]
    Address(#[source] io::Error),
}

/// A server being put together.
pub struct GrpcServer {
    lifecycle: Lifecycle,
    limits: ServerLimits,
    routes: Routes,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    condition: Option<Condition>,
}

/// What some of the services need.
struct Condition {
    holds: watch::Receiver<bool>,
    names: Vec<&'static str>,
}

/// A server that is running. It goes on until the lifecycle ends it, also when this is dropped.
#[derive(Clone, Copy, Debug)]
pub struct ServerHandle {
    address: SocketAddr,
}

impl ServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl GrpcServer {
    /// A server without services.
    pub fn new(lifecycle: &Lifecycle, limits: ServerLimits) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            limits,
            routes: Routes::default(),
            names: Vec::new(),
            descriptors: Vec::new(),
            condition: None,
        }
    }

    /// Offers reflection (v1 and v1alpha) over an encoded `FileDescriptorSet`.
    #[must_use]
    pub fn reflection(mut self, file_descriptor_set: &'static [u8]) -> Self {
        self.descriptors.push(file_descriptor_set);
        self
    }

    /// Adds a service, whose health is the server's.
    #[expect(clippy::should_implement_trait, reason = "a server is no number")]
    #[must_use]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add(service);
        self
    }

    /// Says that these services cannot serve while `holds` is false: their health is `NOT_SERVING` then. The server's own health
    /// (the empty name) stays as it is: it tells whether the process can do anything at all.
    #[must_use]
    pub fn serving_while(mut self, holds: watch::Receiver<bool>, names: &[&'static str]) -> Self {
        self.condition = Some(Condition { holds, names: names.to_vec() });
        self
    }

    /// Starts serving as a task of the lifecycle.
    ///
    /// When the lifecycle shuts down, health turns `NOT_SERVING`, no more connections are accepted, requests under way are
    /// finished and streams are ended.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn serve(mut self, listener: TcpListener) -> Result<ServerHandle, ServeError> {
        let address = listener.local_addr().map_err(ServeError::Address)?;
        self.add_reflection().map_err(ServeError::Reflection)?;
        let health = HealthReporter::new();
        self.routes.add(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ));

        let Self { lifecycle, limits, routes, names, descriptors: _, condition } = self;
        let shutdown = lifecycle.shutdown_token();
        if let Some(condition) = condition {
            lifecycle.spawn("health", condition.follow(health.clone(), shutdown.clone()));
        }
        let server = run(limits, routes, listener, Readiness { health, names, shutdown });
        let owner = lifecycle.clone();
        lifecycle.spawn("grpc-server", async move {
            if let Err(error) = server.await {
                tracing::error!(error.chain = %crate::error_chain::ErrorChain(&error), "the gRPC server failed");
                owner.request_shutdown();
            }
        });
        tracing::info!(server.address = %address, "serving gRPC on {address}");
        Ok(ServerHandle { address })
    }

    fn add_reflection(&mut self) -> Result<(), tonic_reflection::server::Error> {
        if self.descriptors.is_empty() {
            return Ok(());
        }
        let builder = || {
            self.descriptors
                .iter()
                .fold(tonic_reflection::server::Builder::configure(), |builder, set| {
                    builder.register_encoded_file_descriptor_set(set)
                })
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let (current, older) = (builder().build_v1()?, builder().build_v1alpha()?);
        self.routes.add(current);
        self.routes.add(older);
        Ok(())
    }
}

impl Condition {
    async fn follow(mut self, health: HealthReporter, shutdown: CancellationToken) {
        // The server begins with all of its services serving.
        while let Some(Ok(())) = shutdown.run_until_cancelled(self.holds.changed()).await {
            let holds = *self.holds.borrow_and_update() && !shutdown.is_cancelled();
            let status = if holds { ServingStatus::Serving } else { ServingStatus::NotServing };
            for name in &self.names {
                health.set_service_status(name, status).await;
            }
        }
    }
}

/// What says whether the server takes requests.
struct Readiness {
    health: HealthReporter,
    names: Vec<&'static str>,
    shutdown: CancellationToken,
}

impl Readiness {
    async fn set(&self, status: ServingStatus) {
        for name in std::iter::once("").chain(self.names.iter().copied()) {
            self.health.set_service_status(name, status).await;
        }
    }
}

async fn run(
    limits: ServerLimits,
    routes: Routes,
    listener: TcpListener,
    readiness: Readiness,
) -> Result<(), tonic::transport::Error> {
    readiness.set(ServingStatus::Serving).await;
    let shutdown = readiness.shutdown.clone();
    let concerns = Concerns::new(limits, routes, shutdown.clone());
    let connections = connections::Connections::new(listener, limits.max_connections);
    Server::builder()
        .max_concurrent_streams(limits.max_streams_per_connection)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .serve_with_incoming_shutdown(concerns, connections, async move {
            shutdown.cancelled().await;
            readiness.set(ServingStatus::NotServing).await;
        })
        .await
}

#[cfg(test)]
mod tests;
