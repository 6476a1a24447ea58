//! What a permanent refusal makes of a connection.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::token::v1::{
    AuthorizationState, ConnectionState, GetAccessTokenRequest, GetAuthorizationRequest,
    RefreshConnectionRequest, StartDeviceAuthorizationRequest,
};
use sea_orm::ConnectionTrait as _;
use service_kit::status::status_reason;
use simulator::{DriveSpec, Endpoint, FIRST_USER, Fault, FaultKind, RetryAfter};
use tokio::task::JoinSet;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{World, ask, eventually, name};

const HOURS: Duration = Duration::from_hours(2);
/// Longer than somebody else watches an expired lease before it takes it.
const STALL_MILLISECONDS: u64 = 4000;

fn refusal(status: u16, error: &str, aadsts: u32) -> Fault {
    let (suberror, claims, retry_after) = (None, None, None::<RetryAfter>);
    let kind = FaultKind::Oauth { status, error: error.to_owned(), aadsts, suberror, claims, retry_after };
    Fault::new(kind).on(Endpoint::Token)
}

/// As if the owner of a lease had been stopped for longer than it lasts.
async fn expire_leases(world: &World) {
    let database = world.open_database().await;
    let expired = database.execute_unprepared("UPDATE refresh_leases SET expire_time = 0").await.unwrap();
    assert_eq!(expired.rows_affected(), 1);
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_revoked_grant_needs_a_person_and_says_why_and_since_when() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    assert!(world.sim.revoke(FIRST_USER, 50_173));
    world.advance(HOURS);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    let metadata = status.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata.get("cause").map(String::as_str), Some("invalid_grant AADSTS50173"));
    assert_eq!(metadata.get("connection"), Some(&name("mail")));
    assert!(metadata.contains_key("since"));

    let connection = service.connection(&name("mail")).await;
    assert_eq!(connection.state(), ConnectionState::NeedsReauth);
    assert_eq!(connection.state_cause, "invalid_grant AADSTS50173");
    // The provider is not asked again, nor after a restart.
    let asked = world.sim.counters().of(Endpoint::Token);
    service.token(ask("mail")).await.unwrap_err();
    service.stop().await;
    let service = world.start().await.unwrap();
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    assert_eq!(world.sim.counters().of(Endpoint::Token), asked);
    service.stop().await;
}

#[tokio::test]
async fn a_policy_of_the_organisation_blocks() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.faults().add(refusal(400, "invalid_grant", 53_003).times(1));
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("CONNECTION_BLOCKED"));
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Blocked);
    service.stop().await;
}

#[tokio::test]
async fn a_challenge_that_asks_for_more_leaves_the_connection_active() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.sim.faults().add(refusal(400, "interaction_required", 50_076).times(1));
    let claims = r#"{"access_token":{}}"#.to_owned();
    let status = service.token(GetAccessTokenRequest { claims, ..ask("mail") }).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

/// An answer that names claims which only a person can meet.
fn challenge(claims: &str) -> Fault {
    let (suberror, retry_after) = (None, None::<RetryAfter>);
    let error = "interaction_required".to_owned();
    let claims = Some(claims.to_owned());
    Fault::new(FaultKind::Oauth { status: 400, error, aadsts: 50_076, suberror, claims, retry_after })
        .on(Endpoint::Token)
}

#[tokio::test]
async fn claims_that_need_a_person_are_kept_for_the_next_sign_in_and_then_forgotten() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let wanted = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    world.sim.faults().add(challenge(wanted).times(1));
    let asked = GetAccessTokenRequest { claims: wanted.to_owned(), ..ask("mail") };
    let status = service.token(asked).await.unwrap_err();
    let metadata = status.get_details_error_info().unwrap().metadata;
    assert_eq!(metadata.get("claims").map(String::as_str), Some(wanted));
    // The connection itself works on.
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
    let mut service = world.start().await.unwrap();

    for expected in [1, 0] {
        world.sim.reset_counters();
        let request = StartDeviceAuthorizationRequest { connection: name("mail"), ..Default::default() };
        let started = service.authorizations.start_device_authorization(request).await.unwrap().into_inner();
        world.sim.approve(&started.user_code).unwrap();
        let authorization = started.authorization.unwrap().name;
        eventually("the sign-in", async || {
            world.advance(Duration::from_secs(1));
            let request = GetAuthorizationRequest { name: authorization.clone() };
            let answer = service.authorizations.get_authorization(request).await.unwrap().into_inner();
            answer.authorization.unwrap().state() == AuthorizationState::Completed
        })
        .await;
        assert_eq!(world.sim.counters().claims_requests.min(1), expected);
    }
    service.stop().await;
}

#[tokio::test]
async fn claims_of_a_connection_that_needs_a_sign_in_are_kept_as_well() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.faults().add(challenge(r#"{"access_token":{"acrs":{"value":"c1"}}}"#).times(1));
    service.token(ask("mail")).await.unwrap_err();
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::NeedsReauth);
    let database = world.open_database().await;
    let kept = database.execute_unprepared("DELETE FROM sign_in_claims").await.unwrap().rows_affected();
    database.close().await.unwrap();
    assert_eq!(kept, 1);
    service.stop().await;
}

/// What Graph answers to a token: the status, and the claims of a challenge.
async fn read_drive(world: &World, token: &str) -> (u16, Option<String>) {
    let client = reqwest::Client::builder().build().unwrap();
    let answer =
        client.get(format!("{}/v1.0/me/drive", world.sim.graph())).bearer_auth(token).send().await.unwrap();
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    let encoded =
        challenge.and_then(|text| Some(text.split_once("claims=\"")?.1.split_once('"')?.0.to_owned()));
    let claims = encoded.map(|encoded| String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap());
    (answer.status().as_u16(), claims)
}

/// Graph challenges only holders of tokens that were asked for with the client capability.
#[tokio::test]
async fn the_first_token_can_be_challenged_and_the_challenge_is_met() {
    let (world, mut service) = World::with_service().await;
    world.sim.create_drive(&DriveSpec { seed: 1, files: 1, ..DriveSpec::default() }).unwrap();
    service.connect(&world, "mail").await;
    let token = service.token(ask("mail")).await.unwrap().access_token;
    assert_eq!(read_drive(&world, &token).await, (200, None));
    world.sim.challenge(FIRST_USER).unwrap();
    let (status, claims) = read_drive(&world, &token).await;
    assert_eq!(status, 401);
    let claims = claims.expect("a bare refusal: the token was asked for without the capability");
    let met = service.token(GetAccessTokenRequest { claims, ..ask("mail") }).await.unwrap().access_token;
    assert_eq!(read_drive(&world, &met).await, (200, None));
    service.stop().await;
}

#[tokio::test]
async fn a_server_error_never_breaks_a_connection_whatever_it_says() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    for (status, error, aadsts) in
        [(500, "invalid_grant", 50_173), (503, "invalid_client", 7_000_215), (400, "invalid_grant", 50_196)]
    {
        let fault = world.sim.faults().add(refusal(status, error, aadsts));
        service.token(ask("mail")).await.unwrap_err();
        assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
        world.sim.faults().remove(fault);
        world.advance(Duration::from_mins(2));
    }
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_token_that_still_lives_is_served_although_the_grant_is_gone() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    assert!(world.sim.revoke(FIRST_USER, 50_173));
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first);
    service.stop().await;
}

#[tokio::test]
async fn the_loser_of_a_race_adopts_the_winners_token() {
    // Two replicas on one database with a provider that kills a used refresh token: whoever comes second is refused.
    let (world, mut first) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = simulator::Rotation::Grace);
    let second = world.start().await.unwrap();
    first.connect(&world, "mail").await;
    for _ in 0..10 {
        world.advance(HOURS);
        let (one, other) = tokio::join!(first.token(ask("mail")), second.token(ask("mail")));
        one.unwrap();
        other.unwrap();
    }
    assert_eq!(first.connection(&name("mail")).await.state(), ConnectionState::Active);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn coder_17069_24228_whoever_is_refused_after_somebody_else_rotated_adopts_theirs() {
    let (world, mut first) = World::with_service().await;
    let second = world.start().await.unwrap();
    first.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.reset_counters();
    // The first request waits for longer than its lease and is then refused; the second one succeeds meanwhile.
    world.sim.faults().add(
        Fault::new(FaultKind::HeaderStall { milliseconds: STALL_MILLISECONDS }).on(Endpoint::Token).times(1),
    );
    world.sim.faults().add(refusal(400, "invalid_grant", 50_173).times(1));
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        let answer = first.token(ask("mail")).await;
        (first, answer)
    });
    eventually("the first request is under way", async || world.sim.counters().of(Endpoint::Token) == 1)
        .await;
    expire_leases(&world).await;
    let token = second.token(ask("mail")).await.unwrap().access_token;
    let (first, answer) = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(answer.unwrap().access_token, token);
    assert_eq!(first.connection(&name("mail")).await.state(), ConnectionState::Active);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_refresh_that_succeeded_outranks_a_refusal_that_came_in_between() {
    let (world, mut first) = World::with_service().await;
    let second = world.start().await.unwrap();
    first.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.reset_counters();
    // The first request waits for longer than its lease and then succeeds; the second one is refused meanwhile.
    world.sim.faults().add(
        Fault::new(FaultKind::HeaderStall { milliseconds: STALL_MILLISECONDS }).on(Endpoint::Token).times(1),
    );
    world.sim.faults().add(refusal(400, "invalid_grant", 50_173).skip(1).times(1));
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        let answer = first.token(ask("mail")).await;
        (first, answer)
    });
    eventually("the first request is under way", async || world.sim.counters().of(Endpoint::Token) == 1)
        .await;
    expire_leases(&world).await;
    let status = second.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    let (first, answer) = waiting.join_next().await.unwrap().unwrap();
    answer.unwrap();
    let connection = first.connection(&name("mail")).await;
    assert_eq!((connection.state(), connection.state_cause.as_str()), (ConnectionState::Active, ""));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_operator_who_refreshes_learns_that_a_block_was_lifted() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    let block = world.sim.faults().add(refusal(400, "invalid_grant", 50_057));
    service.token(ask("mail")).await.unwrap_err();
    let blocked = service.connection(&name("mail")).await;
    assert_eq!(blocked.state(), ConnectionState::Blocked);
    let refresh = || RefreshConnectionRequest { name: name("mail") };
    world.advance(Duration::from_mins(1));
    service.connections.refresh_connection(refresh()).await.unwrap_err();
    assert_eq!(service.connection(&name("mail")).await.state_time, blocked.state_time);
    world.sim.faults().remove(block);
    let lifted =
        service.connections.refresh_connection(refresh()).await.unwrap().into_inner().connection.unwrap();
    assert_eq!((lifted.state(), lifted.state_cause.as_str()), (ConnectionState::Active, ""));
    assert_ne!(lifted.state_time, blocked.state_time);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_service_of_another_app_registration_leaves_connections_alone() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    service.stop().await;
    world.advance(HOURS);
    let service = world.start_with(world.confidential(simulator::CONFIDENTIAL_CLIENT_SECRET)).await.unwrap();
    let asked = world.sim.counters().of(Endpoint::Token);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_MISCONFIGURED"));
    assert_eq!(world.sim.counters().of(Endpoint::Token), asked);
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    service.stop().await;
}
