//! What is not a connection's fault changes no connection, and the provider is spared while it lasts.

use std::time::Duration;

use proto::token::v1::{AppHealth, ConnectionState, ListConnectionsRequest};
use service_kit::status::status_reason;
use simulator::{
    CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Endpoint, FIRST_USER, Fault, FaultKind, RetryAfter,
};

use crate::world::{SCOPES, Service, World, ask, import};

const HOURS: Duration = Duration::from_hours(2);
const CONNECTIONS: u64 = 14;

fn refusal(error: &str, aadsts: u32) -> Fault {
    let error = error.to_owned();
    let (suberror, claims, retry_after) = (None, None, None::<RetryAfter>);
    Fault::new(FaultKind::Oauth { status: 400, error, aadsts, suberror, claims, retry_after })
        .on(Endpoint::Token)
}

async fn many(world: &World) -> Service {
    let mut service = world.start_with(world.confidential(CONFIDENTIAL_CLIENT_SECRET)).await.unwrap();
    for number in 0..CONNECTIONS {
        let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
        service.connections.create_connection(import(&format!("c{number}"), token)).await.unwrap();
    }
    world.advance(HOURS);
    world.sim.reset_counters();
    service
}

/// Asks for every connection's token once and gives the reasons of the refusals.
async fn ask_for_all(service: &Service) -> Vec<String> {
    let mut reasons = Vec::new();
    for number in 0..CONNECTIONS {
        if let Err(status) = service.token(ask(&format!("c{number}"))).await {
            reasons.push(status_reason(&status).unwrap());
        }
    }
    reasons
}

async fn all_are(service: &Service, health: AppHealth) {
    let request = ListConnectionsRequest::default();
    let listed = service.connections.clone().list_connections(request).await.unwrap().into_inner();
    assert_eq!(u64::try_from(listed.connections.len()).unwrap(), CONNECTIONS);
    for connection in listed.connections {
        assert_eq!((connection.state(), connection.app_health()), (ConnectionState::Active, health));
    }
}

async fn recovers(world: &World, service: &Service, fault: u64) {
    world.sim.faults().remove(fault);
    world.advance(Duration::from_mins(2));
    assert_eq!(ask_for_all(service).await, Vec::<String>::new());
    all_are(service, AppHealth::Healthy).await;
}

/// oauthapp deletes what `invalid_client` refuses: one expired secret wipes the fleet. dify, xagent#1544: any failure does.
#[tokio::test]
async fn n8n_22567_xagent_1544_an_expired_client_secret_is_the_apps_and_costs_few_requests() {
    let world = World::new().await;
    let service = many(&world).await;
    let fault = world.sim.faults().add(refusal("invalid_client", 7_000_222));
    let reasons = ask_for_all(&service).await;
    assert_eq!(u64::try_from(reasons.len()).unwrap(), CONNECTIONS);
    assert!(reasons.iter().all(|reason| reason == "PROVIDER_MISCONFIGURED"), "{reasons:?}");
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    all_are(&service, AppHealth::Misconfigured).await;
    recovers(&world, &service, fault).await;
    service.stop().await;
}

/// coder#25686: a blip forced everybody to sign in again.
#[tokio::test]
async fn coder_25686_a_provider_that_is_down_is_probed_and_not_hammered() {
    let world = World::new().await;
    let service = many(&world).await;
    let fault = world.sim.faults().add(Fault::status(503, None).on(Endpoint::Token));
    let reasons = ask_for_all(&service).await;
    assert!(reasons.iter().all(|reason| reason == "PROVIDER_UNAVAILABLE"), "{reasons:?}");
    all_are(&service, AppHealth::Failing).await;
    let asked = world.sim.counters().of(Endpoint::Token);
    assert_eq!(asked, 20, "ten connections, each with one repetition");
    // One probe each time the wait is over, whoever asks.
    world.advance(Duration::from_secs(5));
    ask_for_all(&service).await;
    assert_eq!(world.sim.counters().of(Endpoint::Token), asked + 2);
    recovers(&world, &service, fault).await;
    service.stop().await;
}

#[tokio::test]
async fn many_refusals_without_a_reason_change_no_connection() {
    let world = World::new().await;
    let service = many(&world).await;
    let fault = world.sim.faults().add(refusal("invalid_grant", 99_999));
    for _ in 0..3 {
        let reasons = ask_for_all(&service).await;
        assert!(reasons.iter().all(|reason| reason == "PROVIDER_UNAVAILABLE"), "{reasons:?}");
    }
    all_are(&service, AppHealth::Failing).await;
    recovers(&world, &service, fault).await;
    service.stop().await;
}

#[tokio::test]
async fn element_5903_one_refusal_without_a_reason_is_believed_the_second_time_and_then_for_good() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.faults().add(refusal("invalid_grant", 99_999));
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_UNAVAILABLE"));
    world.advance(Duration::from_secs(2));
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    let asked = world.sim.counters().of(Endpoint::Token);
    world.advance(HOURS);
    service.token(ask("mail")).await.unwrap_err();
    assert_eq!(world.sim.counters().of(Endpoint::Token), asked, "refused for good, and asked again");
    service.stop().await;
}
