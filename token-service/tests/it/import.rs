//! `CreateConnection` from a refresh token.

use proto::token::v1::{
    self as wire, ClientCredentials, ConnectionState, CreateConnectionRequest,
    create_connection_request::Credential,
};
use service_kit::status::{status_reason, status_violations};
use simulator::{CONFIDENTIAL_CLIENT_ID, Endpoint, FIRST_USER, Fault, FaultKind, Rotation};
use tonic::Code;

use crate::world::{SCOPES, World, ask, import, name};

#[tokio::test]
async fn a_proven_token_becomes_a_connection_that_knows_its_account() {
    let (world, mut service) = World::with_service().await;
    let connection = service.connect(&world, "mail").await;
    let user = world.sim.users().first().unwrap();
    let account = connection.account.unwrap();
    assert_eq!((connection.name, connection.state), (name("mail"), ConnectionState::Active.into()));
    assert_eq!((account.object_id, account.username), (user.oid.clone(), user.upn.clone()));
    assert_eq!(connection.provider, "microsoft");
    assert_eq!(connection.app_health, i32::from(wire::AppHealth::Healthy));
    assert!(connection.refresh_time.is_some() && connection.create_time.is_some());
    assert_eq!(world.sim.counters().refreshes, 1);
    // The access token that proved it is the first one handed out.
    assert!(service.token(ask("mail")).await.unwrap().access_token.starts_with("sim-at-"));
    assert_eq!(world.sim.counters().refreshes, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_refused_token_leaves_nothing_behind() {
    let (world, mut service) = World::with_service().await;
    let for_another_app = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    for refused in ["sim-rt-made-up".to_owned(), for_another_app] {
        let status = service.connections.create_connection(import("mail", refused)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status_reason(&status).as_deref(), Some("REFRESH_TOKEN_REFUSED"));
    }
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("CONNECTION_NOT_FOUND"));
    service.stop().await;
}

#[tokio::test]
async fn an_id_that_is_taken_costs_no_refresh() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let status =
        service.connections.create_connection(import("mail", world.refresh_token())).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(status_reason(&status).as_deref(), Some("CONNECTION_EXISTS"));
    assert_eq!(world.sim.counters().refreshes, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_says_so_and_nothing_is_stored() {
    let (world, mut service) = World::with_service().await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Token).times(2));
    let token = world.refresh_token();
    let status = service.connections.create_connection(import("mail", token.clone())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_UNAVAILABLE"));
    service.connections.create_connection(import("mail", token)).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_request_that_was_throttled_says_for_how_long() {
    let (world, mut service) = World::with_service().await;
    let throttle = FaultKind::Oauth {
        status: 429,
        error: "temporarily_unavailable".into(),
        aadsts: 90_055,
        suberror: None,
        claims: None,
        retry_after: Some(simulator::RetryAfter::Seconds(7)),
    };
    world.sim.faults().add(Fault::new(throttle).on(Endpoint::Token).times(1));
    let status =
        service.connections.create_connection(import("mail", world.refresh_token())).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(service_kit::status::status_retry_after(&status), Some(std::time::Duration::from_secs(7)));
    service.stop().await;
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let (_world, mut service) = World::with_service().await;
    let request = CreateConnectionRequest {
        parent: "tenants/ACME".to_owned(),
        connection_id: "-mail".to_owned(),
        display_name: "x".repeat(201),
        scopes: vec!["two words".to_owned()],
        credential: None,
    };
    let status = service.connections.create_connection(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    assert_eq!(fields, ["connection_id", "credential", "display_name", "parent", "scopes"]);
    service.stop().await;
}

#[tokio::test]
async fn client_credentials_are_not_supported_yet() {
    let (_world, mut service) = World::with_service().await;
    let mut request = import("mail", String::new());
    request.credential =
        Some(Credential::ClientCredentials(ClientCredentials { directory_id: "t".to_owned() }));
    let status = service.connections.create_connection(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    service.stop().await;
}

/// Imports twice at once, at two replicas, with a provider that ends the sign-in when a refresh token is used twice.
async fn import_twice(ids: [&str; 2], is_same_token: bool) {
    let (world, first) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let second = world.start().await.unwrap();
    let token = world.refresh_token();
    let other = if is_same_token { token.clone() } else { world.refresh_token() };
    let stall = FaultKind::HeaderStall { milliseconds: 3000 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    let (mut one, mut two) = (first.connections.clone(), second.connections.clone());
    let (one, two) = tokio::join!(
        one.create_connection(import(ids[0], token)),
        two.create_connection(import(ids[1], other))
    );
    let refused = match (one, two) {
        (Ok(_), Err(status)) | (Err(status), Ok(_)) => status,
        (one, two) => panic!("{one:?} {two:?}"),
    };
    assert_eq!((refused.code(), status_reason(&refused).as_deref()), (Code::Unavailable, Some("BUSY")));
    assert!(service_kit::status::status_retry_after(&refused).is_some());
    assert_eq!((world.sim.counters().of(Endpoint::Token), world.sim.counters().refresh_token_reuse), (1, 0));
    // What was imported lives.
    world.advance(std::time::Duration::from_hours(2));
    let mut served = 0;
    for id in ids {
        served += usize::from(first.token(ask(id)).await.is_ok());
    }
    assert!(served >= 1);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn one_refresh_token_is_not_imported_twice_at_once() {
    import_twice(["mail", "files"], true).await;
}

#[tokio::test]
async fn one_name_is_not_imported_twice_at_once() {
    import_twice(["mail", "mail"], false).await;
}
