//! Several services on one database: one refresh for all of them, and what becomes of a refresh nobody heard the end of.

use std::time::Duration;

use proto::token::v1::{self as wire, ConnectionState, DeleteConnectionRequest, RefreshOutcome};
use service_kit::{
    database::DatabaseUrl,
    status::{status_reason, status_retry_after},
};
use simulator::{Endpoint, FIRST_USER, Fault, FaultKind, ResetMoment, RetryAfter, Rotation};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    test_database::TestDatabase,
    world::{Service, World, ask, eventually, name},
};

const HOURS: Duration = Duration::from_hours(2);
const CALLERS: usize = 1000;
const REPLICAS: usize = 3;

pub(crate) async fn replicas(world: &World, database: Option<&TestDatabase>) -> Vec<Service> {
    let mut services = Vec::new();
    for _ in 0..REPLICAS {
        let mut config = world.config();
        if let Some(database) = database {
            config.database = DatabaseUrl::parse(&database.url()).unwrap();
        }
        services.push(world.start_with(config).await.unwrap());
    }
    services
}

pub(crate) async fn stop(services: Vec<Service>) {
    for service in services {
        service.stop().await;
    }
}

/// Every caller's token, with all asking at once, spread over the replicas.
async fn ask_all(services: &[Service]) -> Vec<String> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let mut tokens = services[number % services.len()].tokens.clone();
        callers.spawn(async move {
            tokens.get_access_token(ask("mail")).await.unwrap().into_inner().access_token
        });
    }
    let mut answers = callers.join_all().await;
    answers.sort();
    answers.dedup();
    answers
}

async fn a_thousand_callers(database: Option<&TestDatabase>) {
    let world = World::new().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut services = replicas(&world, database).await;
    services[0].connect(&world, "mail").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        world.advance(HOURS);
        world.sim.reset_counters();
        let answers = ask_all(&services).await;
        assert_eq!(answers.len(), 1);
        assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
        assert_eq!(world.sim.counters().refresh_token_reuse, 0);
        assert!(!seen.contains(&answers));
        seen.push(answers);
    }
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_three_replicas_cost_one_refresh_twice_in_a_row() {
    a_thousand_callers(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_three_replicas_on_postgresql_cost_one_refresh_twice_in_a_row() {
    let Some(database) = TestDatabase::create().await else { return };
    a_thousand_callers(Some(&database)).await;
    database.drop().await;
}

/// nango's lock expired while its owner was still refreshing; oauth2-proxy#1992, #1580 and #3456 are the same.
#[tokio::test]
async fn nango_1005_oauth2_proxy_1992_1580_3456_a_slow_refresh_keeps_its_lease() {
    let world = World::new().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut services = replicas(&world, None).await;
    services[0].connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.reset_counters();
    let stall = FaultKind::HeaderStall { milliseconds: 800 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    assert_eq!(ask_all(&services).await.len(), 1);
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    stop(services).await;
}

/// coder#27479: a lease is given back by its owner only.
#[tokio::test]
async fn coder_27479_a_failure_is_shared_and_gives_the_lease_back() {
    let world = World::new().await;
    let mut services = replicas(&world, None).await;
    services[0].connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.reset_counters();
    let fault = world.sim.faults().add(Fault::status(503, None).on(Endpoint::Token));
    for service in &services {
        let status = service.token(ask("mail")).await.unwrap_err();
        assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_UNAVAILABLE"));
        assert!(status_retry_after(&status).is_some());
    }
    // The first replica's try and its one repetition: the others were told.
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2);
    world.sim.faults().remove(fault);
    world.advance(Duration::from_secs(2));
    assert_eq!(ask_all(&services).await.len(), 1);
    stop(services).await;
}

fn lost_answer() -> Fault {
    Fault::new(FaultKind::ConnReset { moment: ResetMoment::After }).on(Endpoint::Token)
}

async fn outcome(service: &Service) -> (RefreshOutcome, ConnectionState) {
    let connection = service.connection(&name("mail")).await;
    let request = wire::ListConnectionsRequest::default();
    let listed = service.connections.clone().list_connections(request).await.unwrap().into_inner();
    assert_eq!(listed.connections[0].refresh_outcome, connection.refresh_outcome);
    assert_eq!(
        connection.refresh_outcome() == RefreshOutcome::Unknown,
        connection.refresh_outcome_time.is_some()
    );
    (connection.refresh_outcome(), connection.state())
}

/// MAS#2795 and hydra#1831: a lost answer logged people out.
#[tokio::test]
async fn mas_2795_hydra_1831_a_lost_answer_is_shown_and_probed_once_by_one_replica() {
    let world = World::new().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Grace);
    let mut services = replicas(&world, None).await;
    services[0].connect(&world, "mail").await;
    assert_eq!(outcome(&services[0]).await, (RefreshOutcome::Known, ConnectionState::Active));
    world.advance(HOURS);
    world.sim.faults().add(lost_answer().times(1));
    world.sim.reset_counters();
    for service in &services {
        let status = service.token(ask("mail")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(outcome(service).await, (RefreshOutcome::Unknown, ConnectionState::Active));
    }
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1, "a lost exchange was repeated blindly");
    world.advance(Duration::from_secs(2));
    assert_eq!(ask_all(&services).await.len(), 1);
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2);
    assert_eq!(outcome(&services[1]).await, (RefreshOutcome::Known, ConnectionState::Active));
    stop(services).await;
}

#[tokio::test]
async fn a_lost_answer_of_a_strict_provider_ends_in_a_sign_in_that_says_why() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    service.connect(&world, "mail").await;
    world.advance(HOURS);
    world.sim.faults().add(lost_answer().times(1));
    service.token(ask("mail")).await.unwrap_err();
    assert_eq!(outcome(&service).await, (RefreshOutcome::Unknown, ConnectionState::Active));
    world.advance(Duration::from_secs(2));
    let status = service.token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    let connection = service.connection(&name("mail")).await;
    assert_eq!(connection.refresh_outcome(), RefreshOutcome::Known);
    assert!(connection.state_cause.contains("after an answer was lost"), "{}", connection.state_cause);
    service.stop().await;
}

#[tokio::test]
async fn probes_of_a_provider_that_stays_silent_are_ever_further_apart() {
    let (world, mut service) = World::with_service().await;
    let request = wire::WatchConnectionsRequest::default();
    let mut news = service.connections.watch_connections(request).await.unwrap().into_inner();
    service.connect(&world, "mail").await;
    for _ in 0..2 {
        // The beginning and the connection. News that came later would make it forget the failures.
        news.message().await.unwrap().unwrap();
    }
    drop(news);
    world.advance(HOURS);
    let fault = world.sim.faults().add(lost_answer());
    world.sim.reset_counters();
    let mut asked = 0;
    world.clock.stop();
    for seconds in [0, 1, 2, 4, 8] {
        if seconds > 0 {
            world.advance(Duration::from_millis(seconds * 1000 - 500));
            service.token(ask("mail")).await.unwrap_err();
            assert_eq!(world.sim.counters().of(Endpoint::Token), asked, "probed too early");
            world.advance(Duration::from_millis(600));
        }
        service.token(ask("mail")).await.unwrap_err();
        asked += 1;
        assert_eq!(world.sim.counters().of(Endpoint::Token), asked);
    }
    world.sim.faults().remove(fault);
    world.advance(Duration::from_mins(1));
    service.token(ask("mail")).await.unwrap();
    assert_eq!(outcome(&service).await, (RefreshOutcome::Known, ConnectionState::Active));
    service.stop().await;
}

async fn seen_within_a_second(database: Option<&TestDatabase>) {
    let world = World::new().await;
    let mut services = replicas(&world, database).await;
    services[0].connect(&world, "mail").await;
    for service in &services {
        service.token(ask("mail")).await.unwrap();
    }
    // While the clock stands, a token in memory is believed for ever: only the news can end that.
    world.clock.stop();
    let request = DeleteConnectionRequest { name: name("mail") };
    services[0].connections.delete_connection(request).await.unwrap();
    for service in &services {
        eventually("the deletion is seen", async || {
            service.token(ask("mail")).await.is_err_and(|status| status.code() == Code::NotFound)
        })
        .await;
    }
    world.clock.run();
    services[0].connect(&world, "mail").await;
    assert!(world.sim.revoke(FIRST_USER, 50_173));
    world.advance(HOURS);
    for service in &services {
        let status = service.token(ask("mail")).await.unwrap_err();
        assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"));
    }

    // Mended by a new sign-in at one replica: the others, which were told of a failure, give the new token.
    world.clock.stop();
    sign_in_again(&world, &services[0]).await;
    let mended = services[0].token(ask("mail")).await.unwrap().access_token;
    for service in &services {
        eventually("the repair is seen", async || {
            service.token(ask("mail")).await.is_ok_and(|answer| answer.access_token == mended)
        })
        .await;
    }
    world.clock.run();
    stop(services).await;
}

async fn sign_in_again(world: &World, service: &Service) {
    let mut authorizations = service.authorizations.clone();
    let request = wire::StartDeviceAuthorizationRequest { connection: name("mail"), ..Default::default() };
    world.clock.run();
    let started = authorizations.start_device_authorization(request).await.unwrap().into_inner();
    world.sim.approve(&started.user_code).unwrap();
    eventually("the sign-in", async || {
        world.advance(Duration::from_secs(1));
        service.connection(&name("mail")).await.state() == ConnectionState::Active
    })
    .await;
    world.clock.stop();
}

#[tokio::test]
async fn a_throttle_that_one_replica_met_binds_the_others() {
    let world = World::new().await;
    let mut services = replicas(&world, None).await;
    for id in ["mail", "files"] {
        services[0].connect(&world, id).await;
    }
    world.advance(HOURS);
    world.sim.faults().add(Fault::throttle(Endpoint::Token, 1, Some(RetryAfter::Seconds(90))));
    world.sim.reset_counters();
    for (service, id) in services.iter().zip(["mail", "files", "mail"]) {
        let status = service.token(ask(id)).await.unwrap_err();
        assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_THROTTLED"));
        assert!(status_retry_after(&status).is_some_and(|wait| wait > Duration::from_secs(80)));
    }
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    world.advance(Duration::from_secs(91));
    for id in ["mail", "files"] {
        services[2].token(ask(id)).await.unwrap();
    }
    stop(services).await;
}

#[tokio::test]
async fn a_deleted_or_mended_connection_is_seen_at_every_replica() {
    seen_within_a_second(None).await;
}

#[tokio::test]
async fn a_deleted_or_mended_connection_is_seen_at_every_replica_on_postgresql() {
    let Some(database) = TestDatabase::create().await else { return };
    seen_within_a_second(Some(&database)).await;
    database.drop().await;
}
