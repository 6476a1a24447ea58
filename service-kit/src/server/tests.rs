//! A server over real connections, and each middleware by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::future::BoxFuture;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Health, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{
    lifecycle::Drain,
    status::{status_reason, status_retry_after},
};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_mins(1);

/// Answers every RPC of its own with an empty success.
#[derive(Clone)]
struct Probe;

impl NamedService for Probe {
    const NAME: &'static str = "sluice.test.Probe";
}

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        Box::pin(async { Ok(Status::ok("").into_http()) })
    }
}

async fn health_of(channel: &Channel, service: &str) -> Health {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn a_service_whose_condition_does_not_hold_is_not_serving_and_the_others_are() {
    let lifecycle = Lifecycle::new();
    let (condition, holds) = watch::channel(true);
    let listener = bind(LOOPBACK).await.unwrap();
    let server = GrpcServer::new(&lifecycle, ServerLimits::default())
        .add(Probe)
        .serving_while(holds, &[Probe::NAME])
        .serve(listener)
        .unwrap();
    let address = format!("http://{}", server.address());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    for expected in [Health::Serving, Health::NotServing, Health::Serving] {
        condition.send_replace(expected == Health::Serving);
        tokio::time::timeout(LONG, async {
            while health_of(&channel, Probe::NAME).await != expected {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the condition is not followed");
        assert_eq!(health_of(&channel, "").await, Health::Serving);
    }
    drop(channel);
    assert_eq!(lifecycle.shut_down(LONG).await, Drain::Clean);
}

/// The body of a stream that has nothing to say yet.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        std::task::Poll::Pending
    }
}

async fn serve(limits: ServerLimits) -> (Lifecycle, Endpoint) {
    let lifecycle = Lifecycle::new();
    let listener = bind(LOOPBACK).await.unwrap();
    let server = GrpcServer::new(&lifecycle, limits)
        .reflection(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .add(Probe)
        .serve(listener)
        .unwrap();
    (lifecycle, Channel::from_shared(format!("http://{}", server.address())).unwrap())
}

async fn start() -> (Lifecycle, Channel) {
    let (lifecycle, endpoint) = serve(ServerLimits::default()).await;
    (lifecycle, endpoint.connect().await.unwrap())
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.to_owned() }
}

#[tokio::test]
async fn health_covers_the_server_and_each_service() {
    let (_lifecycle, channel) = start().await;
    let mut client = HealthClient::new(channel);
    for name in ["", Probe::NAME] {
        let health = client.check(service(name)).await.unwrap().into_inner();
        assert_eq!(health.status(), Health::Serving, "{name:?}");
    }
    assert_eq!(client.check(service("nothing")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_connection_too_many_waits_until_one_closes() {
    let limits = ServerLimits { max_connections: 1, ..ServerLimits::default() };
    let (_lifecycle, endpoint) = serve(limits).await;
    let mut first = HealthClient::new(endpoint.connect().await.unwrap());
    first.check(service("")).await.unwrap();

    let mut second = HealthClient::new(endpoint.connect_lazy());
    let waiting = second.check(service(""));
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(LONG, waiting).await.unwrap().is_ok());
}

#[tokio::test]
async fn shutting_down_turns_health_off_ends_streams_and_is_clean() {
    let (lifecycle, channel) = start().await;
    let mut watch = HealthClient::new(channel).watch(service(Probe::NAME)).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), Health::Serving);

    let stopping = lifecycle.clone();
    let stopped = async move { stopping.shut_down(LONG).await };
    let watched = async {
        assert_eq!(watch.next().await.unwrap().unwrap().status(), Health::NotServing);
        let end = watch.next().await.unwrap().unwrap_err();
        assert_eq!((end.code(), status_reason(&end).as_deref()), (Code::Unavailable, Some("SHUTTING_DOWN")));
    };
    assert_eq!(tokio::join!(stopped, watched).0, Drain::Clean);
}

#[tokio::test]
async fn reflection_lists_what_is_described() {
    let (_lifecycle, channel) = start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    assert!(list.service.iter().any(|service| service.name == "grpc.health.v1.Health"), "{list:?}");
}

#[tokio::test]
async fn only_loopback_addresses_are_allowed() {
    for ip in [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()),
    ] {
        let error = bind(SocketAddr::new(ip, 0)).await.unwrap_err();
        assert!(matches!(error, BindError::NotLoopback(_)), "{error}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_line() {
    let first = bind(LOOPBACK).await.unwrap();
    let address = first.local_addr().unwrap();
    let text = bind(address).await.unwrap_err().to_string();
    assert_eq!(
        text,
        format!(
            "cannot listen on {address}: the port is in use; stop the other program or choose another port"
        )
    );
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(format!("http://localhost{path}")).body(Body::empty()).unwrap()
}

fn status_of(response: &Response<Body>) -> Status {
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_panic_is_one_internal_error() {
    let inner =
        service_fn(async |_: Request<Body>| -> Result<Response<Body>, Infallible> { panic!("canary-30c1") });
    let response = Around(catch_panic::CatchPanic).layer(inner).oneshot(request("/a/b")).await.unwrap();
    let status = status_of(&response);
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{status:?}").contains("canary"));
}

#[tokio::test]
async fn a_slow_handler_is_cut_off() {
    let inner = service_fn(async |_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let layer = Around(deadline::Deadline(Duration::from_millis(1)));
    let status = status_of(&layer.layer(inner).oneshot(request("/a/b")).await.unwrap());
    assert_eq!(
        (status.code(), status_reason(&status).as_deref()),
        (Code::Unavailable, Some("REQUEST_TIMEOUT"))
    );
}

#[tokio::test]
async fn a_place_is_kept_until_the_answer_is_gone_and_health_needs_none() {
    let watched = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::new(Silent))));
    let admission = Around(admission::Admission::new(1)).layer(watched);
    let call = |path: &'static str| admission.clone().oneshot(request(path));
    let is_taken = |response: &Response<Body>| Status::from_header_map(response.headers()).is_none();

    let first = call("/sluice.test.Probe/Any").await.unwrap();
    assert!(is_taken(&first));
    let refused = status_of(&call("/sluice.test.Probe/Any").await.unwrap());
    assert_eq!(
        (refused.code(), status_reason(&refused).as_deref()),
        (Code::ResourceExhausted, Some("OVERLOADED"))
    );
    assert_eq!(status_retry_after(&refused), Some(Duration::from_secs(1)));
    assert!(is_taken(&call("/grpc.health.v1.Health/Check").await.unwrap()));

    drop(first);
    assert!(is_taken(&call("/sluice.test.Probe/Any").await.unwrap()));
}

#[tokio::test]
async fn a_request_id_is_taken_over_if_it_is_harmless() {
    let seen = service_fn(async |request: Request<Body>| -> Result<Response<Body>, Infallible> {
        let id = request.extensions().get::<RequestId>().unwrap().as_str().to_owned();
        Ok(Response::builder().header("seen", id).body(Body::empty()).unwrap())
    });
    for (sent, kept) in [("abc-1.2_Z", true), ("a b", false), ("", false), (&"x".repeat(65), false)] {
        let mut request = request("/a/b");
        request.headers_mut().insert("x-request-id", sent.parse().unwrap());
        let response = Around(request_span::RequestSpan).layer(seen).oneshot(request).await.unwrap();
        let id = response.headers().get("seen").unwrap();
        assert_eq!(response.headers().get("x-request-id"), Some(id));
        assert_eq!(id.to_str().unwrap() == sent, kept, "{sent:?}");
        assert!((1..=64).contains(&id.len()));
    }
}
