//! A server over real connections, and each middleware by itself.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

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
use tower::ServiceExt as _;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::*;
use crate::{
    lifecycle::Drain,
    status::{status_reason, status_retry_after},
    telemetry::{self, LogFormat},
};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_mins(1);

/// A service made of a function.
#[derive(Clone)]
struct Handler<H, const HEALTH: bool>(H);

impl<H, const HEALTH: bool> NamedService for Handler<H, HEALTH> {
    const NAME: &'static str = if HEALTH { "grpc.health.v1.Health" } else { "sluice.test.Probe" };
}

impl<H, F, const HEALTH: bool> Service<Request<Body>> for Handler<H, HEALTH>
where
    H: Fn(Request<Body>) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let answer = self.0(request);
        Box::pin(async { Ok(answer.await) })
    }
}

/// Answers every RPC of its own with an empty success.
fn probe() -> Handler<impl Fn(Request<Body>) -> std::future::Ready<Response<Body>> + Clone, false> {
    Handler(|_| std::future::ready(Status::ok("").into_http()))
}

const PROBE: &str = "sluice.test.Probe";

/// What every request passes through, with one handler for `sluice.test.Probe` and health.
fn around<F>(
    limits: ServerLimits,
    handler: impl Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
) -> Concerns
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut routes = Routes::default();
    routes.add(Handler::<_, false>(handler.clone()));
    routes.add(Handler::<_, true>(handler));
    Concerns::new(limits, routes, CancellationToken::new())
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
        .add(probe())
        .serving_while(holds, &[PROBE])
        .serve(listener)
        .unwrap();
    let address = format!("http://{}", server.address());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    for expected in [Health::Serving, Health::NotServing, Health::Serving] {
        condition.send_replace(expected == Health::Serving);
        tokio::time::timeout(LONG, async {
            while health_of(&channel, PROBE).await != expected {
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
        .add(probe())
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
    for name in ["", PROBE] {
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
    let mut watch = HealthClient::new(channel).watch(service(PROBE)).await.unwrap().into_inner();
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
    for begins in [false, true] {
        let concerns = around(ServerLimits::default(), move |_| {
            assert!(!begins, "canary-30c1");
            async { panic!("canary-30c1") }
        });
        let status = status_of(&concerns.oneshot(request("/sluice.test.Probe/Any")).await.unwrap());
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_slow_handler_is_cut_off() {
    let limits = ServerLimits { request_timeout: Duration::from_millis(1), ..ServerLimits::default() };
    let slow = around(limits, |_| std::future::pending());
    let status = status_of(&slow.oneshot(request("/sluice.test.Probe/Any")).await.unwrap());
    assert_eq!(
        (status.code(), status_reason(&status).as_deref()),
        (Code::Unavailable, Some("REQUEST_TIMEOUT"))
    );
}

#[tokio::test]
async fn a_place_is_kept_until_the_answer_is_gone_and_health_needs_none() {
    let limits = ServerLimits { max_in_flight: 1, ..ServerLimits::default() };
    let watched = around(limits, |_| std::future::ready(Response::new(Body::new(Silent))));
    let call = |path: &'static str| watched.clone().oneshot(request(path));
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
async fn a_place_is_given_back_by_what_ends_without_a_body() {
    let limits = ServerLimits { max_in_flight: 1, ..ServerLimits::default() };
    let refusing = around(limits, |_| std::future::ready(Status::not_found("").into_http()));
    let call = || refusing.clone().oneshot(request("/sluice.test.Probe/Any"));
    let (first, second) = (call().await.unwrap(), call().await.unwrap());
    assert_eq!([status_of(&first).code(), status_of(&second).code()], [Code::NotFound; 2]);
}

#[tokio::test]
async fn what_is_for_no_service_is_unimplemented() {
    let concerns = around(ServerLimits::default(), |_| std::future::ready(Response::new(Body::new(Silent))));
    for path in
        ["", "/", "/sluice.test.Probe", "/sluice.test.Probes/Any", "//Any", "/x/sluice.test.Probe/Any"]
    {
        let status = status_of(&concerns.clone().oneshot(request(path)).await.unwrap());
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

/// Allocators keep freed blocks of up to about this size at hand, and look for larger ones at length.
const MOST_BYTES_OF_A_FUTURE: usize = 1024;

#[test]
fn the_future_of_a_request_is_small() {
    let mut concerns = around(ServerLimits::default(), |_| std::future::pending());
    let future = concerns.call(request("/sluice.test.Probe/Any"));
    assert!(size_of_val(&*future) <= MOST_BYTES_OF_A_FUTURE, "{} bytes", size_of_val(&*future));
}

#[tokio::test]
async fn a_request_id_is_taken_over_if_it_is_harmless() {
    let concerns = around(ServerLimits::default(), |_| std::future::ready(Response::new(Body::empty())));
    for (sent, kept) in [("abc-1.2_Z", true), ("a b", false), ("", false), (&"x".repeat(65), false)] {
        let mut request = request("/sluice.test.Probe/Any");
        request.headers_mut().insert("x-request-id", sent.parse().unwrap());
        let response = concerns.clone().oneshot(request).await.unwrap();
        let id = response.headers().get("x-request-id").unwrap();
        assert_eq!(id.to_str().unwrap() == sent, kept, "{sent:?}");
        assert!((1..=64).contains(&id.len()));
        assert!(id.is_sensitive(), "HTTP/2 would keep it");
    }
}

#[tokio::test]
async fn lines_below_a_request_have_its_id_and_its_method_as_far_as_that_is_plain() {
    let lines = tempfile::NamedTempFile::new().unwrap();
    let layer = telemetry::layer(LogFormat::Text, "info", Arc::new(lines.reopen().unwrap())).unwrap();
    let _guard = tracing_subscriber::registry().with(layer).set_default();
    let concerns = around(ServerLimits::default(), |_| async {
        tracing::info!("a line below");
        Response::new(Body::empty())
    });
    for (path, shown) in [
        ("/sluice.test.Probe/Any_2", "sluice.test.Probe/Any_2"),
        ("/sluice.test.Probe/%0aFORGED", "sluice.test.Probe/"),
        (
            &format!("/sluice.test.Probe/{}", "x".repeat(200)),
            &format!("sluice.test.Probe/{}", "x".repeat(110)),
        ),
    ] {
        let mut request = request(path);
        request.headers_mut().insert("x-request-id", "abc-1".parse().unwrap());
        drop(concerns.clone().oneshot(request).await.unwrap());
        let text = std::fs::read_to_string(lines.path()).unwrap();
        let line = text.lines().next_back().unwrap();
        assert!(line.contains(&format!("rpc{{rpc.method={shown} request.id=abc-1}}")), "{text}");
        assert!(line.ends_with("a line below"), "{text}");
    }
}
