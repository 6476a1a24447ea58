//! The provider asks to wait: everybody who shares the limit does, and everything is done in the end.

use std::time::Duration;

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use sync_service::domain::names::SourceName;

use crate::world::{World, small_drive, source_name};

const OTHER: &str = "tenants/acme/sources/more";

/// A second source of the same connection, so of the same application and directory.
async fn with_other_source(world: &World) -> SourceName {
    let request = pb::CreateSourceRequest {
        parent: "tenants/acme".to_owned(),
        source_id: "more".to_owned(),
        source: Some(world.source_spec(&world.home.path().join("more"))),
    };
    world.sources().await.create_source(request).await.unwrap();
    SourceName::parse(OTHER).unwrap()
}

/// The simulator notes every request that comes within `Retry-After`; [`World::end`] asks for none.
async fn no_request_came_too_early(world: World) {
    assert!(world.sim.counters().statuses[&429] > 0, "somebody was told to wait");
    world.end().await;
}

#[tokio::test]
async fn what_one_worker_is_told_every_worker_of_the_directory_does() {
    let world = World::new(&small_drive()).await;
    let (first, second) = (source_name(), with_other_source(&world).await);
    // Slow enough that both are in the middle of it.
    world.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 100 }).on(Endpoint::Download));
    world
        .sim
        .faults()
        .add(Fault::status(429, Some(RetryAfter::Seconds(2))).on(Endpoint::Download).skip(40).times(1));
    let (one, other) = (world.worker(), world.worker());
    let (one, other) = tokio::join!(one.run_source(&first), other.run_source(&second));
    for end in [one.unwrap(), other.unwrap()] {
        assert!(end.error.is_none(), "{end:?}");
    }
    world.assert_equal();
    no_request_came_too_early(world).await;
}

#[tokio::test]
async fn a_worker_that_comes_while_another_waits_waits_as_well() {
    let world = World::new(&small_drive()).await;
    let (first, second) = (source_name(), with_other_source(&world).await);
    world.sim.faults().add(Fault::throttle(Endpoint::Delta, 1, Some(RetryAfter::Seconds(2))));
    let (one, other) = (world.worker(), world.worker());
    let late = async {
        let key = format!("{}/{}", simulator::PUBLIC_CLIENT_ID, simulator::TENANT_ID);
        let request = pb::WatchThrottleRequest { budget: key };
        let mut news = world.workers().await.watch_throttle(request).await.unwrap().into_inner();
        let told =
            async { while news.next().await.unwrap().unwrap().wait.unwrap_or_default().seconds == 0 {} };
        assert!(tokio::time::timeout(Duration::from_secs(30), told).await.is_ok());
        other.run_source(&second).await
    };
    let (one, other) = tokio::join!(one.run_source(&first), late);
    for end in [one.unwrap(), other.unwrap()] {
        assert!(end.error.is_none(), "{end:?}");
    }
    no_request_came_too_early(world).await;
}

/// abraunegg/onedrive#815 and #1870, joplin#5244: `Retry-After` was ignored or cut short, so that the run never ended.
#[tokio::test]
async fn abraunegg_815_retry_after_is_waited_for() {
    let world = World::new(&small_drive()).await;
    for endpoint in [Endpoint::Delta, Endpoint::Download] {
        world.sim.faults().add(Fault::throttle(endpoint, 2, Some(RetryAfter::Seconds(1))));
    }
    world.run_to_equality().await;
    no_request_came_too_early(world).await;
}

/// elastic/connectors#1493 and #4138: one long throttle ended the sync, and its progress was lost.
#[tokio::test]
async fn elastic_4138_a_long_throttle_ends_the_run_in_good_order_and_loses_nothing() {
    let world = World::new(&small_drive()).await;
    let long = Some(RetryAfter::Seconds(3000));
    world.sim.faults().add(Fault::status(429, long).on(Endpoint::Download).skip(30).times(1));
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "THROTTLED"));
    assert!(end.error.unwrap().retry_after().unwrap() > Duration::from_secs(2900));
    let done = run.stats.unwrap().files_transferred;
    assert!(done > 0, "what was done is kept");
    let next = world.get_source().await.next_run_time.unwrap().seconds;
    assert!(next >= run.end_time.unwrap().seconds + 2900, "the source is due when the provider said");
    world.clock.advance(Duration::from_secs(3001));
    world.sim.clock().advance(Duration::from_secs(3001));
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.files_transferred, 60 - done);
    world.end().await;
}

#[tokio::test]
async fn a_shorter_wait_never_replaces_a_longer_one_and_others_are_not_held_back() {
    let world = World::new(&small_drive()).await;
    let mut client = world.workers().await;
    for seconds in [50, 5] {
        let wait = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = pb::ReportThrottleRequest { budget: "app/one".into(), wait };
        client.report_throttle(request).await.unwrap();
    }
    for (budget, seconds) in [("app/one", 50), ("app/two", 0)] {
        let request = pb::WatchThrottleRequest { budget: budget.into() };
        let mut news = client.watch_throttle(request).await.unwrap().into_inner();
        assert_eq!(news.next().await.unwrap().unwrap().wait.unwrap().seconds, seconds, "{budget}");
    }
    for request in [
        pb::ReportThrottleRequest { budget: String::new(), wait: None },
        pb::ReportThrottleRequest { budget: "x".repeat(301), wait: None },
    ] {
        let status = client.report_throttle(request).await.unwrap_err();
        assert_eq!(service_kit::status::status_violations(&status).len(), 2);
    }
    world.end().await;
}
