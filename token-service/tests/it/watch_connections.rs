//! `WatchConnections`.

use std::time::Duration;

use proto::token::v1::{
    self as wire, ConnectionState, DeleteConnectionRequest, RefreshConnectionRequest,
    WatchConnectionsRequest, WatchConnectionsResponse,
};
use service_kit::status::status_reason;
use simulator::{Endpoint, FIRST_USER, Fault, FaultKind, RetryAfter};
use tonic::{Code, Streaming};

use crate::world::{PATIENCE, Service, World, ask, import, name};

const HOURS: Duration = Duration::from_hours(2);

async fn watch(service: &Service, parent: &str, resume_token: &str) -> Streaming<WatchConnectionsResponse> {
    let request =
        WatchConnectionsRequest { parent: parent.to_owned(), resume_token: resume_token.to_owned() };
    service.connections.clone().watch_connections(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchConnectionsResponse>) -> WatchConnectionsResponse {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("no news").unwrap().unwrap()
}

fn told(message: &WatchConnectionsResponse) -> (String, ConnectionState, bool) {
    let connection = message.connection.as_ref().unwrap();
    (connection.name.clone(), connection.state(), message.deleted)
}

#[tokio::test]
async fn nango_7202_recovery_is_news_as_failure_is_and_a_break_loses_nothing() {
    let (world, mut service) = World::with_service().await;
    let mut stream = watch(&service, "tenants/acme", "").await;
    let start = next(&mut stream).await;
    assert!(start.connection.is_none());
    service.connect(&world, "mail").await;
    assert_eq!(told(&next(&mut stream).await), (name("mail"), ConnectionState::Active, false));

    world.advance(HOURS);
    let kind = FaultKind::Oauth {
        status: 400,
        error: "invalid_grant".to_owned(),
        aadsts: 50_057,
        suberror: None,
        claims: None,
        retry_after: None::<RetryAfter>,
    };
    let fault = world.sim.faults().add(Fault::new(kind).on(Endpoint::Token));
    service.token(ask("mail")).await.unwrap_err();
    let blocked = next(&mut stream).await;
    assert_eq!(told(&blocked), (name("mail"), ConnectionState::Blocked, false));
    assert_eq!(blocked.connection.unwrap().state_cause, "invalid_grant AADSTS50057");
    drop(stream);

    // While nobody watches: it recovers, is revoked upstream, and is deleted.
    world.sim.faults().remove(fault);
    let refresh = RefreshConnectionRequest { name: name("mail") };
    service.connections.refresh_connection(refresh).await.unwrap();
    let mut stream = watch(&service, "tenants/acme", &blocked.resume_token).await;
    assert_eq!(told(&next(&mut stream).await), (name("mail"), ConnectionState::Active, false));
    assert!(world.sim.revoke(FIRST_USER, 50_173));
    world.advance(HOURS);
    service.token(ask("mail")).await.unwrap_err();
    assert_eq!(told(&next(&mut stream).await), (name("mail"), ConnectionState::NeedsReauth, false));
    service.connections.delete_connection(DeleteConnectionRequest { name: name("mail") }).await.unwrap();
    let deleted = next(&mut stream).await;
    assert_eq!(told(&deleted), (name("mail"), ConnectionState::Unspecified, true));

    // From the beginning, at a service that was started anew: the states are those of then.
    service.stop().await;
    let service = world.start().await.unwrap();
    let mut stream = watch(&service, "", &start.resume_token).await;
    for _ in 0..4 {
        assert!(next(&mut stream).await.deleted, "the connection is gone by now");
    }
    assert_eq!(next(&mut stream).await.resume_token, deleted.resume_token);
    service.stop().await;
}

#[tokio::test]
async fn a_watcher_of_one_tenant_hears_of_no_other() {
    let (world, mut service) = World::with_service().await;
    let mut stream = watch(&service, "tenants/other", "").await;
    next(&mut stream).await;
    service.connect(&world, "mail").await;
    let request = wire::CreateConnectionRequest {
        parent: "tenants/other".to_owned(),
        ..import("mail", world.refresh_token())
    };
    service.connections.create_connection(request).await.unwrap();
    assert_eq!(told(&next(&mut stream).await).0, "tenants/other/connections/mail");
    drop(stream);
    service.stop().await;
}

#[tokio::test]
async fn a_watcher_learns_that_the_service_stops_and_which_tokens_are_too_old() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let mut stream = watch(&service, "", "").await;
    let old = next(&mut stream).await.resume_token;
    service.connections.delete_connection(DeleteConnectionRequest { name: name("mail") }).await.unwrap();
    next(&mut stream).await;
    let stopping = service.stop();
    let (last, ()) = tokio::join!(stream.message(), stopping);
    let status = last.unwrap_err();
    assert_eq!(
        (status.code(), status_reason(&status).as_deref()),
        (Code::Unavailable, Some("SHUTTING_DOWN"))
    );

    world.advance(Duration::from_hours(8 * 24));
    let service = world.start().await.unwrap();
    crate::world::eventually("old changes are cleared away", async || {
        let request = WatchConnectionsRequest { parent: String::new(), resume_token: old.clone() };
        let answer = service.connections.clone().watch_connections(request).await;
        answer.is_err_and(|status| status_reason(&status).as_deref() == Some("RESUME_TOKEN_EXPIRED"))
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn bad_fields_are_all_named() {
    let (_world, service) = World::with_service().await;
    let request = WatchConnectionsRequest { parent: "acme".to_owned(), resume_token: "tomorrow".to_owned() };
    let status = service.connections.clone().watch_connections(request).await.unwrap_err();
    let fields: Vec<String> =
        service_kit::status::status_violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["parent", "resume_token"]);
    service.stop().await;
}
