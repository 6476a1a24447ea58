//! The provider asks to wait: everybody who shares the limit does, and everything is done in the end.

use std::time::Duration;

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use simulator::{DriveSpec, Endpoint, Fault, FaultKind, NameStyle, RetryAfter};
use sync_service::{
    domain::{names::SourceName, run::RunState},
    worker::DEFAULT_LINKS,
};

use crate::world::{Setup, World, drive_tree, read_tree, small_drive, source_name};

/// A second source of the same connection, so of the same application and directory.
async fn with_other_source(world: &World) -> SourceName {
    source_called(world, "more").await
}

async fn source_called(world: &World, id: &str) -> SourceName {
    let request = pb::CreateSourceRequest {
        parent: "tenants/acme".to_owned(),
        source_id: id.to_owned(),
        source: Some(world.source_spec(&world.home.path().join(id))),
    };
    world.sources().await.create_source(request).await.unwrap();
    SourceName::parse(&format!("tenants/acme/sources/{id}")).unwrap()
}

/// Resource units of a minute that the workers of one test share.
const UNITS: u32 = 1500;

/// The limit is an application's in a directory, whoever calls: four workers use it up together, and none is ever told to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_one_directory_together_stay_within_its_resource_units() {
    let spec = DriveSpec { files: 10, folders: 140, names: NameStyle::Plain, ..small_drive() };
    // A page for each item, since contents cost the simulator's limit nothing.
    let pages_of_one = || Setup { links_and_page: Some((DEFAULT_LINKS, 1)), ..Setup::default() };
    let world = World::with_budget(&spec, Some(UNITS)).await;
    let limit = |units| world.sim.switch(move |switches| switches.resource_units_per_minute = Some(units));
    // The limit begins nearly used up, so that what the workers have is what comes with time, and eight seconds of it.
    limit(180);
    let first = world.worker_with(pages_of_one()).run_source(&source_name()).await.unwrap();
    assert!(first.error.is_none(), "{first:?}");
    limit(UNITS);
    world.sim.clock().advance(Duration::from_secs(8));
    let mut sources = Vec::new();
    for id in ["one", "two", "three", "four"] {
        sources.push(source_called(&world, id).await);
    }
    let workers: Vec<_> = sources.iter().map(|_| world.worker_with(pages_of_one())).collect();
    let runs = workers.iter().zip(&sources).map(|(worker, source)| worker.run_source(source));
    for end in futures_util::future::join_all(runs).await {
        let end = end.unwrap();
        assert!(end.error.is_none() && end.state == RunState::Succeeded, "{end:?}");
    }
    let wanted = drive_tree(&world.drive);
    for id in ["one", "two", "three", "four"] {
        assert!(read_tree(&world.home.path().join(id)) == wanted, "{id} is not as the drive is");
    }
    assert_eq!(world.sim.counters().statuses.get(&429), None, "nobody was told to wait");
    drop(workers);
    world.end().await;
}

#[tokio::test]
async fn runs_share_what_is_known_of_a_budget_for_as_long_as_their_leases_live() {
    let mut world = World::with_budget(&small_drive(), Some(2000)).await;
    let more = with_other_source(&world).await;
    let mut client = world.workers().await;
    let lease = async |source: &str| {
        let request =
            pb::LeaseRunRequest { worker: "by hand".into(), source: source.into(), ..Default::default() };
        world.workers().await.lease_run(request).await.unwrap().into_inner().lease.unwrap()
    };
    let joining = |lease: &pb::Lease| pb::WatchThrottleRequest {
        budget: "app/one".into(),
        run: lease.run.clone(),
        epoch: lease.epoch,
    };
    let first = lease(crate::world::SOURCE).await;
    let mut news = client.watch_throttle(joining(&first)).await.unwrap().into_inner();
    let told = async |news: &mut tonic::Streaming<pb::WatchThrottleResponse>| {
        let told =
            tokio::time::timeout(Duration::from_secs(30), news.next()).await.unwrap().unwrap().unwrap();
        (told.units_per_minute, told.sharers)
    };
    assert_eq!(told(&mut news).await, (2000, 1));
    let second = lease(&more.to_string()).await;
    let mut others = client.watch_throttle(joining(&second)).await.unwrap().into_inner();
    assert_eq!((told(&mut others).await, told(&mut news).await), ((2000, 2), (2000, 2)));
    // The provider grants less than the service is set to, and then more.
    for (granted, expected) in [(1250, 1250), (5000, 2000)] {
        let wait = Some(prost_types::Duration::default());
        let request = pb::ReportThrottleRequest { budget: "app/one".into(), wait, units_per_minute: granted };
        client.report_throttle(request).await.unwrap();
        assert_eq!(told(&mut news).await, (expected, 2));
    }
    let stale = pb::WatchThrottleRequest { epoch: first.epoch - 1, ..joining(&first) };
    let status = client.watch_throttle(stale).await.unwrap_err();
    assert_eq!(service_kit::status::status_reason(&status).as_deref(), Some("LEASE_LOST"));
    // What is known outlives the service; a worker that died shares no more.
    world.stop_sync_service().await;
    world.start_sync_service().await;
    let look = pb::WatchThrottleRequest { budget: "app/one".into(), ..Default::default() };
    let mut news = world.workers().await.watch_throttle(look).await.unwrap().into_inner();
    assert_eq!(told(&mut news).await, (2000, 2));
    world.expire_leases();
    assert_eq!(told(&mut news).await, (2000, 1));
    world.end().await;
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
        let request = pb::WatchThrottleRequest { budget: key, ..Default::default() };
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
        let request = pb::ReportThrottleRequest { budget: "app/one".into(), wait, ..Default::default() };
        client.report_throttle(request).await.unwrap();
    }
    for (budget, seconds) in [("app/one", 50), ("app/two", 0)] {
        let request = pb::WatchThrottleRequest { budget: budget.into(), ..Default::default() };
        let mut news = client.watch_throttle(request).await.unwrap().into_inner();
        assert_eq!(news.next().await.unwrap().unwrap().wait.unwrap().seconds, seconds, "{budget}");
    }
    for request in [
        pb::ReportThrottleRequest { budget: String::new(), ..Default::default() },
        pb::ReportThrottleRequest { budget: "x".repeat(301), ..Default::default() },
    ] {
        let status = client.report_throttle(request).await.unwrap_err();
        assert_eq!(service_kit::status::status_violations(&status).len(), 2);
    }
    world.end().await;
}
