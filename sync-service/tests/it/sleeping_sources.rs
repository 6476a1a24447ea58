//! A source whose connection is broken sleeps, and wakes by itself when somebody has signed in again.

use std::time::Duration;

use proto::{
    sync::v1 as pb,
    token::v1::{self as token_pb, authorization_service_client::AuthorizationServiceClient},
};
use simulator::Endpoint;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{CONNECTION, Setup, World, eventually, small_drive};

/// Far beyond any interval, and below the time after which a sleeping source looks by itself.
const HOURS: Duration = Duration::from_hours(6);

/// A mirror whose connection broke, and the drive has changed since.
async fn with_broken_connection() -> World {
    let world = World::new(&small_drive()).await;
    world.sim.switch(|switches| switches.device.interval_seconds = 0);
    world.run_to_equality().await;
    world.drive.random_changes(1, 5);
    assert!(world.sim.revoke(simulator::FIRST_USER, 50_173));
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "NEEDS_REAUTH"));
    world
}

/// What a person does who follows the link to sign in again.
async fn sign_in_again(world: &World) {
    let channel = World::endpoint(world.token_address).connect().await.unwrap();
    let mut client = AuthorizationServiceClient::new(channel);
    let request =
        token_pb::StartDeviceAuthorizationRequest { connection: CONNECTION.into(), ..Default::default() };
    let started = client.start_device_authorization(request).await.unwrap().into_inner();
    world.sim.approve(&started.user_code).unwrap();
    let name = started.authorization.unwrap().name;
    eventually("the sign-in is complete", async || {
        let request = token_pb::GetAuthorizationRequest { name: name.clone() };
        let found = client.get_authorization(request).await.unwrap().into_inner().authorization.unwrap();
        found.state() == token_pb::AuthorizationState::Completed
    })
    .await;
}

/// Whether the destination is as the drive is, without looking at it while it is written.
async fn is_idle_again(world: &World) -> bool {
    let source = world.get_source().await;
    let run = world.get_run(&source.latest_run).await;
    source.state() == pb::SourceState::Idle && run.state() == pb::RunState::Succeeded
}

#[tokio::test]
async fn a_source_sleeps_until_its_connection_is_repaired_and_then_syncs_by_itself() {
    let world = with_broken_connection().await;
    let asked = world.sim.counters().of(Endpoint::Token);
    for _ in 0..3 {
        world.clock.advance(HOURS);
        assert!(world.worker().drain().await.unwrap().is_empty(), "a sleeping source is not due");
    }
    assert_eq!(world.sim.counters().of(Endpoint::Token), asked, "and nobody asks for tokens");
    assert_eq!(world.get_source().await.state(), pb::SourceState::NeedsPerson);

    let stop = CancellationToken::new();
    let worker = world.worker_with(Setup { stop: stop.clone(), ..Setup::default() });
    let mut workers = JoinSet::new();
    workers.spawn(async move { worker.serve().await });
    sign_in_again(&world).await;
    eventually("the source is synced", async || is_idle_again(&world).await).await;
    stop.cancel();
    workers.join_all().await;
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_repair_while_sync_service_is_away_is_noticed_when_it_comes_back() {
    let mut world = with_broken_connection().await;
    world.stop_sync_service().await;
    sign_in_again(&world).await;
    world.start_sync_service().await;
    eventually("the source is due", async || world.get_source().await.state() == pb::SourceState::Idle).await;
    assert_eq!(world.worker().drain().await.unwrap().len(), 1);
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn without_its_place_in_the_changes_the_service_looks_at_every_connection() {
    let mut world = with_broken_connection().await;
    world.stop_sync_service().await;
    let url = format!("sqlite:{}", world.home.path().join("sync.db").display());
    let database = sea_orm::Database::connect(url).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&database, "DELETE FROM connection_watch").await.unwrap();
    database.close().await.unwrap();
    sign_in_again(&world).await;
    world.start_sync_service().await;
    eventually("the source is due", async || world.get_source().await.state() == pb::SourceState::Idle).await;
    world.end().await;
}

#[tokio::test]
async fn a_connection_that_breaks_puts_its_sources_to_sleep_before_any_run_fails() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    assert!(world.sim.revoke(simulator::FIRST_USER, 50_173));
    // Somebody else asks for a token, and the refresh finds out.
    let channel = World::endpoint(world.token_address).connect().await.unwrap();
    let request = token_pb::RefreshConnectionRequest { name: CONNECTION.into() };
    let mut connections = token_pb::connection_service_client::ConnectionServiceClient::new(channel);
    connections.refresh_connection(request).await.unwrap_err();
    eventually("the source sleeps", async || {
        world.get_source().await.state() == pb::SourceState::NeedsPerson
    })
    .await;
    world.clock.advance(HOURS);
    assert!(world.worker().drain().await.unwrap().is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_sleeping_source_looks_by_itself_once_a_day() {
    let world = with_broken_connection().await;
    world.clock.advance(HOURS * 5);
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.len(), 1, "should the news of the repair be lost, it is found out");
    world.clock.advance(HOURS);
    assert!(world.worker().drain().await.unwrap().is_empty());
    world.end().await;
}
