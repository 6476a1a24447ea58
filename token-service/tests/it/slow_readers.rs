//! Callers that do not read what is streamed to them. tonic stops asking a stream for more once the HTTP/2 window is full, in the
//! middle of whatever the stream is at: nothing may be held there that others wait for.

use std::time::Duration;

use proto::token::v1::{
    StartDeviceAuthorizationRequest, WatchAuthorizationRequest, WatchConnectionsRequest,
    authorization_service_client::AuthorizationServiceClient,
    connection_service_client::ConnectionServiceClient,
};
use service_kit::database::PoolOptions;
use tonic::transport::{Channel, Endpoint};

use crate::world::{PATIENCE, Service, World, ask, import, name};

/// Connections of the pool.
const CONNECTIONS: u32 = 3;
/// Readers of each kind: more than the pool has connections.
const READERS: usize = 4;
/// Bytes of a stream that a reader takes before it reads them: any message fills that.
const WINDOW: u32 = 1;
/// How often somebody does something that every watcher is to be told of.
const ROUNDS: usize = 8;
/// How long a request waits for a connection of the pool: long enough for a busy machine.
const POOL_WAIT: Duration = Duration::from_secs(10);

/// A way to the service that takes hardly anything before it is read.
async fn narrow(service: &Service) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    endpoint.initial_stream_window_size(WINDOW).connect().await.unwrap()
}

#[tokio::test]
async fn news_that_nobody_reads_hold_up_nobody() {
    let world = World::new().await;
    let mut config = world.config();
    config.pool = PoolOptions { max_connections: CONNECTIONS, acquire_timeout: POOL_WAIT };
    let mut service = world.start_with(config).await.unwrap();
    let request = StartDeviceAuthorizationRequest { connection: name("device"), ..Default::default() };
    let started = service.authorizations.start_device_authorization(request).await.unwrap().into_inner();
    let authorization = started.authorization.unwrap().name;

    let (mut news, mut sign_ins) = (Vec::new(), Vec::new());
    for _ in 0..READERS {
        let mut connections = ConnectionServiceClient::new(narrow(&service).await);
        let mut stream =
            connections.watch_connections(WatchConnectionsRequest::default()).await.unwrap().into_inner();
        // Where it begins. Whatever comes next fills the window.
        stream.message().await.unwrap().unwrap();
        news.push(stream);
        let mut authorizations = AuthorizationServiceClient::new(narrow(&service).await);
        let request = WatchAuthorizationRequest { name: authorization.clone() };
        sign_ins.push(authorizations.watch_authorization(request).await.unwrap().into_inner());
    }
    for round in 0..ROUNDS {
        let id = format!("c{round}");
        let made = service.connections.create_connection(import(&id, world.refresh_token()));
        tokio::time::timeout(PATIENCE, made).await.expect("a connection is waited for").unwrap();
        let token = tokio::time::timeout(PATIENCE, service.token(ask(&id))).await;
        token.expect("a token is waited for").unwrap();
    }
    // Whoever reads on is told everything.
    for round in 0..ROUNDS {
        let change = tokio::time::timeout(PATIENCE, news[0].message()).await.unwrap().unwrap().unwrap();
        assert_eq!(change.connection.unwrap().name, name(&format!("c{round}")));
    }
    let shown = tokio::time::timeout(PATIENCE, sign_ins[0].message()).await.unwrap().unwrap().unwrap();
    assert_eq!(shown.authorization.unwrap().name, authorization);
    drop((news, sign_ins));
    service.stop().await;
}
