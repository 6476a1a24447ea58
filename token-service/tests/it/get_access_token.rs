//! `GetAccessToken` and `RefreshConnection`.

use std::time::Duration;

use proto::token::v1::{self as wire, ConnectionState, GetAccessTokenRequest, RefreshConnectionRequest};
use sea_orm::ConnectionTrait as _;
use service_kit::status::{status_reason, status_retry_after, status_violations};
use sha2::{Digest as _, Sha256};
use simulator::{
    CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Endpoint, FIRST_USER, Fault, FaultKind, ResetMoment,
    RetryAfter, Rotation,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::world::{SCOPES, World, ask, import, name};

const HOUR: Duration = Duration::from_hours(1);

fn with_min_ttl(id: &str, min_ttl: Duration) -> GetAccessTokenRequest {
    GetAccessTokenRequest { min_ttl: Some(service_kit::clock::duration_to_proto(min_ttl)), ..ask(id) }
}

#[tokio::test]
async fn nango_1016_a_token_is_handed_out_again_until_it_must_be_refreshed() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap();
    assert_eq!(first.token_type, "Bearer");
    assert!(first.scopes.contains(&"Files.Read.All".to_owned()), "{:?}", first.scopes);
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first.access_token);
    assert_eq!(world.sim.counters().refreshes, 1);
    // From the database, by a service whose memory is empty.
    service.stop().await;
    let service = world.start().await.unwrap();
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first.access_token);
    assert_eq!(world.sim.counters().refreshes, 1);
    world.advance(2 * HOUR);
    assert_ne!(service.token(ask("mail")).await.unwrap().access_token, first.access_token);
    assert_eq!(world.sim.counters().refreshes, 2);
    service.stop().await;
}

#[tokio::test]
async fn a_hundred_callers_share_one_refresh() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(2 * HOUR);
    world.sim.reset_counters();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let mut tokens = service.tokens.clone();
        callers.spawn(async move {
            tokens.get_access_token(ask("mail")).await.unwrap().into_inner().access_token
        });
    }
    let mut answers = callers.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(world.sim.counters().refreshes, 1);
    service.stop().await;
}

#[tokio::test]
async fn rotation_holds_over_many_refreshes_and_a_restart_with_a_strict_provider() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    service.connect(&world, "mail").await;
    let mut seen = vec![service.token(ask("mail")).await.unwrap().access_token];
    for round in 0..4 {
        if round == 2 {
            service.stop().await;
            service = world.start().await.unwrap();
        }
        world.advance(2 * HOUR);
        let token = service.token(ask("mail")).await.unwrap().access_token;
        assert!(!seen.contains(&token));
        seen.push(token);
    }
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    service.stop().await;
}

#[tokio::test]
async fn several_sets_of_scopes_queue_and_never_reuse_a_rotated_token() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    service.connect(&world, "mail").await;
    let mut callers = JoinSet::new();
    for scopes in ["Files.Read.All", "User.Read", "Files.Read.All User.Read", "openid profile"] {
        for _ in 0..5 {
            let mut tokens = service.tokens.clone();
            let scopes = scopes.split(' ').map(str::to_owned).collect();
            let request = GetAccessTokenRequest { scopes, ..ask("mail") };
            callers.spawn(async move {
                tokens.get_access_token(request).await.unwrap().into_inner().access_token
            });
        }
    }
    let mut answers = callers.join_all().await;
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 4);
    assert_eq!(world.sim.counters().refreshes, 5);
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    assert_eq!(service.connection(&name("mail")).await.state, i32::from(ConnectionState::Active));
    service.stop().await;
}

#[tokio::test]
async fn min_ttl_decides_when_a_token_is_too_old() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.access_seconds = 3600);
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    world.advance(Duration::from_mins(40));
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first);
    let longer = service.token(with_min_ttl("mail", Duration::from_mins(30))).await.unwrap();
    assert_ne!(longer.access_token, first);
    assert_eq!(world.sim.counters().refreshes, 2);
    service.stop().await;
}

#[tokio::test]
async fn tokens_that_live_shorter_than_asked_for_are_not_refreshed_at_every_call() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.access_seconds = 60);
    service.connect(&world, "mail").await;
    let first = service.token(with_min_ttl("mail", Duration::from_mins(30))).await.unwrap();
    let second = service.token(with_min_ttl("mail", Duration::from_mins(30))).await.unwrap();
    assert_eq!(first.access_token, second.access_token);
    assert_eq!(world.sim.counters().refreshes, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_however_often_it_is_reported() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let rejected = service.token(ask("mail")).await.unwrap().access_token;
    let hash = Sha256::digest(rejected.as_bytes()).to_vec();
    let report = || GetAccessTokenRequest { rejected_token_sha256: hash.clone(), ..ask("mail") };
    let replaced = service.token(report()).await.unwrap().access_token;
    assert_ne!(replaced, rejected);
    assert_eq!(service.token(report()).await.unwrap().access_token, replaced);
    assert_eq!(world.sim.counters().refreshes, 2);
    service.stop().await;
}

#[tokio::test]
async fn a_claims_challenge_is_carried_to_the_provider() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#.to_owned();
    let second = service.token(GetAccessTokenRequest { claims, ..ask("mail") }).await.unwrap().access_token;
    assert_ne!(second, first);
    assert_eq!(world.sim.counters().claims_requests, 1);
    // It is the shared token from now on.
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, second);
    service.stop().await;
}

#[tokio::test]
async fn a_token_that_still_lives_is_served_while_the_provider_fails() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.access_seconds = 3600);
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    world.advance(Duration::from_mins(57));
    let fault = world.sim.faults().add(Fault::status(503, None).on(Endpoint::Token));
    for _ in 0..5 {
        assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first);
    }
    // Nobody hammers a provider that is down: the first try and its one repetition.
    assert_eq!(world.sim.counters().of(Endpoint::Token), 3);
    world.advance(Duration::from_mins(10));
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_UNAVAILABLE"));
    assert!(status_retry_after(&status).is_some());
    world.sim.faults().remove(fault);
    world.advance(Duration::from_mins(1));
    assert_ne!(service.token(ask("mail")).await.unwrap().access_token, first);
    assert_eq!(service.connection(&name("mail")).await.state, i32::from(ConnectionState::Active));
    service.stop().await;
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(2 * HOUR);
    world.sim.faults().add(Fault::throttle(Endpoint::Token, 1, Some(RetryAfter::Seconds(90))));
    let before = world.sim.counters().of(Endpoint::Token);
    for _ in 0..3 {
        let status = service.token(ask("mail")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_THROTTLED"));
        assert!(status_retry_after(&status).is_some_and(|wait| wait <= Duration::from_secs(90)));
    }
    assert_eq!(world.sim.counters().of(Endpoint::Token), before + 1);
    world.advance(Duration::from_secs(91));
    service.token(ask("mail")).await.unwrap();
    assert!(world.sim.violations().is_empty(), "{:?}", world.sim.violations());
    service.stop().await;
}

#[tokio::test]
async fn a_throttle_of_one_connection_spares_its_whole_directory() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    service.connect(&world, "files").await;
    world.advance(2 * HOUR);
    world.sim.faults().add(Fault::throttle(Endpoint::Token, 1, Some(RetryAfter::Seconds(90))));
    let before = world.sim.counters().of(Endpoint::Token);
    for id in ["mail", "files"] {
        let status = service.token(ask(id)).await.unwrap_err();
        assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_THROTTLED"));
        assert!(status_retry_after(&status).is_some_and(|wait| wait > Duration::from_secs(80)));
    }
    assert_eq!(world.sim.counters().of(Endpoint::Token), before + 1);
    world.advance(Duration::from_secs(91));
    for id in ["mail", "files"] {
        service.token(ask(id)).await.unwrap();
    }
    service.stop().await;
}

#[tokio::test]
async fn a_lost_answer_keeps_the_old_token_and_the_next_caller_probes() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    world.advance(2 * HOUR);
    let lost = FaultKind::ConnReset { moment: ResetMoment::After };
    world.sim.faults().add(Fault::new(lost).on(Endpoint::Token).times(1));
    let before = world.sim.counters().of(Endpoint::Token);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(world.sim.counters().of(Endpoint::Token), before + 1, "a lost exchange was repeated blindly");
    world.advance(Duration::from_secs(2));
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn an_app_that_is_refused_never_marks_the_connection() {
    let world = World::new().await;
    let mut service = world.start_with(world.confidential(CONFIDENTIAL_CLIENT_SECRET)).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    service.connections.create_connection(import("mail", token)).await.unwrap();
    service.stop().await;

    let service = world.start_with(world.confidential("expired secret")).await.unwrap();
    world.advance(2 * HOUR);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_MISCONFIGURED"));
    let connection = service.connection(&name("mail")).await;
    assert_eq!(connection.state, i32::from(ConnectionState::Active));
    assert_eq!(connection.app_health, i32::from(wire::AppHealth::Misconfigured));
    service.stop().await;

    let service = world.start_with(world.confidential(CONFIDENTIAL_CLIENT_SECRET)).await.unwrap();
    service.token(ask("mail")).await.unwrap();
    assert_eq!(service.connection(&name("mail")).await.app_health, i32::from(wire::AppHealth::Healthy));
    service.stop().await;
}

#[tokio::test]
async fn refreshing_now_brings_a_new_token() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    let request = RefreshConnectionRequest { name: name("mail") };
    let refreshed = service.connections.refresh_connection(request).await.unwrap().into_inner();
    assert_eq!(refreshed.connection.unwrap().state, i32::from(ConnectionState::Active));
    assert_ne!(service.token(ask("mail")).await.unwrap().access_token, first);
    assert_eq!(world.sim.counters().refreshes, 2);
    service.stop().await;
}

#[tokio::test]
async fn coder_24332_a_caller_who_goes_away_does_not_lose_the_rotated_token() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    service.connect(&world, "mail").await;
    world.advance(2 * HOUR);
    world.sim.reset_counters();
    let stall = FaultKind::HeaderStall { milliseconds: 300 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    let mut tokens = service.tokens.clone();
    let mut impatient = JoinSet::new();
    impatient.spawn(async move { tokens.get_access_token(ask("mail")).await });
    crate::world::eventually("the refresh is under way", async || {
        world.sim.counters().of(Endpoint::Token) == 1
    })
    .await;
    impatient.abort_all();
    // Stopping waits for the refresh, and what it brought is there afterwards.
    service.stop().await;
    let service = world.start().await.unwrap();
    service.token(ask("mail")).await.unwrap();
    assert_eq!(world.sim.counters().refreshes, 1);
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    service.stop().await;
}

#[tokio::test]
async fn bad_fields_are_all_named() {
    let (_world, service) = World::with_service().await;
    let request = GetAccessTokenRequest {
        connection: "connections/mail".to_owned(),
        min_ttl: Some(prost_types::Duration { seconds: 31 * 60, nanos: 0 }),
        scopes: vec![String::new()],
        claims: "not json".to_owned(),
        rejected_token_sha256: vec![1; 31],
    };
    let status = service.token(request).await.unwrap_err();
    let mut fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    assert_eq!(fields, ["claims", "connection", "min_ttl", "rejected_token_sha256", "scopes"]);
    service.stop().await;
}

#[tokio::test]
async fn scopes_that_the_provider_does_not_know_are_the_callers_fault() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let request = GetAccessTokenRequest { scopes: vec!["No.Such.Scope".to_owned()], ..ask("mail") };
    let status = service.token(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status_reason(&status).as_deref(), Some("SCOPES_REFUSED"));
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn scopes_that_nobody_consented_to_do_not_break_the_connection() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let request = GetAccessTokenRequest { scopes: vec!["Sites.Read.All".to_owned()], ..ask("mail") };
    let status = service.token(request).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    assert!(status.message().contains("AADSTS65001"), "{}", status.message());
    assert_eq!(service.connection(&name("mail")).await.state, i32::from(ConnectionState::Active));
    world.advance(2 * HOUR);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_token_in_memory_is_served_while_the_database_fails() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let token = service.token(ask("mail")).await.unwrap().access_token;
    let database = world.open_database().await;
    database.execute_unprepared("ALTER TABLE connections RENAME TO away").await.unwrap();
    world.advance(Duration::from_mins(10));
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, token);
    world.advance(2 * HOUR);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status_reason(&status).as_deref(), Some("DATABASE_UNAVAILABLE"));
    database.execute_unprepared("ALTER TABLE away RENAME TO connections").await.unwrap();
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}
