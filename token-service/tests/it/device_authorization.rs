//! Device authorizations (RFC 8628).

use std::time::Duration;

use proto::token::v1::{
    self as wire, AuthorizationState, ConnectionState, GetAuthorizationRequest,
    StartDeviceAuthorizationRequest, WatchAuthorizationRequest,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use service_kit::{
    lifecycle::Drain,
    status::{status_reason, status_violations},
};
use simulator::{Endpoint, FIRST_USER, Fault, SECOND_USER, TooFast};
use tonic::Code;

use crate::world::{Service, World, ask, eventually, name};

fn start(id: &str) -> StartDeviceAuthorizationRequest {
    StartDeviceAuthorizationRequest {
        connection: name(id),
        display_name: "Adele".to_owned(),
        scopes: Vec::new(),
    }
}

impl Service {
    async fn start_device(&self, id: &str) -> wire::StartDeviceAuthorizationResponse {
        self.authorizations.clone().start_device_authorization(start(id)).await.unwrap().into_inner()
    }

    async fn authorization(&self, name: &str) -> wire::Authorization {
        let request = GetAuthorizationRequest { name: name.to_owned() };
        let answer = self.authorizations.clone().get_authorization(request).await;
        answer.unwrap().into_inner().authorization.unwrap()
    }

    /// Follows an authorization to its end, letting time pass.
    async fn until_ended(&self, world: &World, name: &str) -> wire::WatchAuthorizationResponse {
        let request = WatchAuthorizationRequest { name: name.to_owned() };
        let mut stream = self.authorizations.clone().watch_authorization(request).await.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        let mut last = first;
        while state(&last) == AuthorizationState::Pending {
            world.advance(Duration::from_secs(1));
            let next = tokio::time::timeout(Duration::from_millis(200), stream.message()).await;
            if let Ok(message) = next {
                last = message.unwrap().expect("the stream ended before the authorization did");
            }
        }
        assert!(stream.message().await.unwrap().is_none(), "the stream goes on after the end");
        last
    }
}

fn state(answer: &wire::WatchAuthorizationResponse) -> AuthorizationState {
    answer.authorization.as_ref().unwrap().state()
}

fn name_of(started: &wire::StartDeviceAuthorizationResponse) -> &str {
    &started.authorization.as_ref().unwrap().name
}

#[tokio::test]
async fn a_sign_in_becomes_a_connection() {
    let (world, service) = World::with_service().await;
    let started = service.start_device("mail").await;
    assert!(started.verification_uri.starts_with("http") && !started.user_code.is_empty());
    assert!(started.message.contains(&started.user_code));
    assert_eq!(service.authorization(name_of(&started)).await.state(), AuthorizationState::Pending);

    world.sim.approve(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    let connection = ended.connection.unwrap();
    assert_eq!((connection.name.clone(), connection.state()), (name("mail"), ConnectionState::Active));
    assert_eq!(connection.display_name, "Adele");
    assert_eq!(connection.account.unwrap().username, FIRST_USER);
    assert!(service.token(ask("mail")).await.unwrap().access_token.starts_with("sim-at-"));
    assert!(world.sim.violations().is_empty(), "{:?}", world.sim.violations());
    service.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_changes_nothing() {
    let (world, service) = World::with_service().await;
    let started = service.start_device("mail").await;
    service.stop().await;
    world.sim.approve(&started.user_code).unwrap();
    let service = world.start().await.unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_declined_sign_in_makes_nothing() {
    let (world, service) = World::with_service().await;
    let started = service.start_device("mail").await;
    world.sim.decline(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Declined);
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("CONNECTION_NOT_FOUND"));
    service.stop().await;
}

#[tokio::test]
async fn nobody_signs_in_and_it_expires() {
    let (world, service) = World::with_service().await;
    world.sim.switch(|switches| switches.device.expires_seconds = 30);
    let started = service.start_device("mail").await;
    assert_eq!(started.expires_in.unwrap().seconds, 30);
    world.advance(Duration::from_secs(31));
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Expired);
    service.stop().await;
}

#[tokio::test]
async fn slow_down_is_obeyed() {
    let (world, service) = World::with_service().await;
    world.sim.switch(|switches| switches.device.too_fast = TooFast::SlowDown);
    let slow_down = simulator::FaultKind::Oauth {
        status: 400,
        error: "slow_down".into(),
        aadsts: 0,
        suberror: None,
        claims: None,
        retry_after: None,
    };
    world.sim.faults().add(Fault::new(slow_down).on(Endpoint::Token).times(1));
    let started = service.start_device("mail").await;
    world.advance(Duration::from_secs(1));
    eventually("the first poll", async || world.sim.counters().of(Endpoint::Token) == 1).await;
    // Six seconds from now on instead of one.
    let database = world.open_database().await;
    eventually("the longer interval is stored", async || {
        let query = "SELECT poll_interval_millis FROM authorizations";
        let row =
            database.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap() == 6000
    })
    .await;
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    world.sim.approve(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    assert!(world.sim.violations().is_empty(), "{:?}", world.sim.violations());
    service.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_in_between_delays_the_sign_in_only() {
    let (world, service) = World::with_service().await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Token).times(2));
    let started = service.start_device("mail").await;
    world.sim.approve(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    service.stop().await;
}

#[tokio::test]
async fn the_same_account_mends_a_broken_connection() {
    let (world, mut service) = World::with_service().await;
    let made = service.connect(&world, "mail").await;
    assert!(world.sim.revoke(FIRST_USER, 50_173));
    world.advance(Duration::from_hours(2));
    service.token(ask("mail")).await.unwrap_err();
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::NeedsReauth);

    let started = service.start_device("mail").await;
    world.sim.approve(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    let mended = service.connection(&name("mail")).await;
    assert_eq!(mended.state(), ConnectionState::Active);
    assert_eq!((mended.create_time, mended.state_cause), (made.create_time, String::new()));
    service.token(ask("mail")).await.unwrap();
    // Rotation goes on from the new sign-in.
    world.advance(Duration::from_hours(2));
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn another_account_does_not_take_over_a_connection() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let token = service.token(ask("mail")).await.unwrap().access_token;
    let started = service.start_device("mail").await;
    world.sim.approve_as(&started.user_code, SECOND_USER).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    let authorization = ended.authorization.unwrap();
    assert_eq!(authorization.state(), AuthorizationState::Failed);
    assert_eq!(authorization.failure_cause, "ACCOUNT_MISMATCH");
    assert_eq!(service.connection(&name("mail")).await.account.unwrap().username, FIRST_USER);
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, token);
    service.stop().await;
}

#[tokio::test]
async fn two_services_on_one_database_never_poll_twice() {
    let (world, first) = World::with_service().await;
    let second = world.start().await.unwrap();
    let started = first.start_device("mail").await;
    for poll in 1..=3 {
        world.advance(Duration::from_secs(1));
        eventually("a poll", async || world.sim.counters().of(Endpoint::Token) >= poll).await;
    }
    world.sim.approve(&started.user_code).unwrap();
    let ended = second.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    assert!(world.sim.violations().is_empty(), "{:?}", world.sim.violations());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_poll_delays_the_sign_in_only() {
    let (world, service) = World::with_service().await;
    let stall = simulator::FaultKind::HeaderStall { milliseconds: 60_000 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    let started = service.start_device("mail").await;
    world.advance(Duration::from_secs(1));
    eventually("the poll is under way", async || world.sim.counters().of(Endpoint::Token) == 1).await;
    let drain = service.lifecycle.shut_down(Duration::ZERO).await;
    let Drain::DeadlinePassed { still_running } = drain else { panic!("nothing was cut off") };
    assert!(still_running.contains(&"authorization poller"), "{still_running:?}");

    world.sim.approve(&started.user_code).unwrap();
    let service = world.start().await.unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    service.stop().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_stop_the_others() {
    let (world, service) = World::with_service().await;
    let broken = service.start_device("broken").await;
    let database = world.open_database().await;
    database.execute_unprepared("UPDATE authorizations SET connection_name = 'nonsense'").await.unwrap();
    let started = service.start_device("mail").await;
    world.sim.approve(&broken.user_code).unwrap();
    world.sim.approve(&started.user_code).unwrap();
    let ended = service.until_ended(&world, name_of(&started)).await;
    assert_eq!(state(&ended), AuthorizationState::Completed);
    service.stop().await;
}

#[tokio::test]
async fn a_watcher_is_told_when_the_service_stops() {
    let (_world, service) = World::with_service().await;
    let started = service.start_device("mail").await;
    let request = WatchAuthorizationRequest { name: name_of(&started).to_owned() };
    let mut stream = service.authorizations.clone().watch_authorization(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    service.lifecycle.request_shutdown();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status_reason(&status).as_deref(), Some("SHUTTING_DOWN"));
    service.stop().await;
}

#[tokio::test]
async fn ended_authorizations_are_kept_for_a_day() {
    let (world, service) = World::with_service().await;
    let started = service.start_device("mail").await;
    world.sim.decline(&started.user_code).unwrap();
    service.until_ended(&world, name_of(&started)).await;
    world.advance(Duration::from_hours(23));
    assert_eq!(service.authorization(name_of(&started)).await.state(), AuthorizationState::Declined);
    world.advance(Duration::from_hours(2));
    eventually("the authorization is cleared away", async || {
        let request = GetAuthorizationRequest { name: name_of(&started).to_owned() };
        let answer = service.authorizations.clone().get_authorization(request).await;
        answer.is_err_and(|status| status_reason(&status).as_deref() == Some("AUTHORIZATION_NOT_FOUND"))
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn bad_fields_and_unknown_names_are_refused() {
    let (world, mut service) = World::with_service().await;
    let request = StartDeviceAuthorizationRequest {
        connection: "mail".to_owned(),
        display_name: "bell\u{7}".to_owned(),
        scopes: vec!["ü".to_owned()],
    };
    let status = service.authorizations.start_device_authorization(request).await.unwrap_err();
    assert_eq!(status_violations(&status).len(), 3, "{status:?}");
    let unknown = "tenants/acme/authorizations/none".to_owned();
    let status =
        service.authorizations.get_authorization(GetAuthorizationRequest { name: unknown.clone() }).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    let status =
        service.authorizations.watch_authorization(WatchAuthorizationRequest { name: unknown }).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.sim.counters().of(Endpoint::DeviceCode), 0);
    service.stop().await;
}

#[tokio::test]
async fn only_so_many_sign_ins_wait_at_once() {
    let (world, mut service) = World::with_service().await;
    service.start_device("mail").await;
    let database = world.open_database().await;
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
                  INSERT INTO authorizations SELECT name || '-' || i, connection_name, display_name, scopes, state, \
                  failure_cause, create_time, expire_time, end_time, next_poll_time + 1000000, poll_interval_millis, \
                  generation, data_key, device_code, user_code FROM authorizations, n";
    assert_eq!(database.execute_unprepared(copies).await.unwrap().rows_affected(), 999);
    let status = service.authorizations.start_device_authorization(start("one-more")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status_reason(&status).as_deref(), Some("TOO_MANY_AUTHORIZATIONS"));
    assert_eq!(world.sim.counters().of(Endpoint::DeviceCode), 1);
    service.stop().await;
}
