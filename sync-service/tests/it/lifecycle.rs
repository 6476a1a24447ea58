//! Processes that die, stop and come back: the next run ends with the same destination as if they had not.

use std::{sync::Arc, time::Duration};

use proto::sync::v1 as pb;
use service_kit::{exit::Exit, lifecycle::Lifecycle};
use simulator::{Change, DriveSpec, Endpoint, Fault, FaultKind};
use tokio_util::sync::CancellationToken;

use crate::{
    cut_proxy::CutProxy,
    world::{SOURCE, Setup, World, empty_drive, eventually, small_drive, source_name},
};

/// Requests hang from the `skip`-th one on: a worker stands still there, in the middle of its work.
fn hang(world: &World, endpoint: Endpoint, skip: u32) {
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 600_000 }).on(endpoint).skip(skip));
}

/// Starts a worker, waits until it stands still, and kills it.
async fn die_at(world: &World, endpoint: Endpoint, skip: u32) {
    let before = world.sim.counters().of(endpoint);
    hang(world, endpoint, skip);
    let worker = world.worker();
    let source = source_name();
    let stands_still = eventually("the worker gets there", async || {
        world.sim.counters().of(endpoint) > before + u64::from(skip)
    });
    tokio::select! {
        end = worker.run_source(&source) => panic!("the run ended: {end:?}"),
        () = stands_still => {}
    }
    world.sim.faults().clear();
    world.expire_leases();
}

#[tokio::test]
async fn a_worker_that_dies_between_pages_is_followed_by_another() {
    let world =
        World::new(&DriveSpec { files: 2300, folders: 20, max_file_bytes: 10, ..small_drive() }).await;
    die_at(&world, Endpoint::Delta, 1).await;
    let run = world.run_to_equality().await;
    assert_eq!(run.stats.unwrap().pages, 3, "no page is read twice");
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_dies_between_transfers_is_followed_by_another() {
    let world = World::new(&small_drive()).await;
    for skip in [0, 7, 11] {
        die_at(&world, Endpoint::Download, skip).await;
    }
    world.drive.random_changes(5, 30);
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn what_a_dead_worker_made_is_known_to_the_next_one_whatever_the_drive_says_by_then() {
    let world = World::new(&empty_drive()).await;
    let names: Vec<String> = (0..6).map(|index| format!("{index}.txt")).collect();
    for name in &names {
        let file = Change::CreateFile { parent: "/".into(), name: name.clone(), size: 50 };
        world.drive.apply(&file).unwrap();
    }
    hang(&world, Endpoint::Download, 3);
    let worker = world.worker();
    let source = source_name();
    let in_place = || names.iter().filter(|name| world.mirror().join(name).exists()).count();
    // Killed as soon as files are in place, before it reports them.
    tokio::select! {
        end = worker.run_source(&source) => panic!("the run ended: {end:?}"),
        () = eventually("files in place", async || in_place() == 3) => {}
    }
    drop(worker);
    world.sim.faults().clear();
    world.expire_leases();
    // Enough stays that nobody need be asked.
    for name in &names {
        world.drive.apply(&Change::Delete { item: format!("/{name}") }).unwrap();
        let file = Change::CreateFile { parent: "/".into(), name: format!("new-{name}"), size: 50 };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_end().await;
    world.run_to_equality().await;
    assert_eq!(in_place(), 0);
    world.end().await;
}

#[tokio::test]
async fn two_workers_never_have_the_same_source() {
    let world = World::new(&small_drive()).await;
    hang(&world, Endpoint::Download, 3);
    let (one, other) = (world.worker(), world.worker());
    let source = source_name();
    let second = async {
        eventually("the first one is at work", async || {
            world.get_source().await.state() == pb::SourceState::Running
        })
        .await;
        other.run_source(&source).await
    };
    let refused = tokio::select! {
        end = one.run_source(&source) => panic!("the run ended: {end:?}"),
        refused = second => refused.unwrap_err(),
    };
    assert_eq!((refused.reason().as_str(), refused.exit()), ("SOURCE_LEASED", Exit::TryAgain));
    assert!(refused.retry_after().is_some());
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_gives_its_lease_back_and_the_source_stays_due() {
    let world = World::new(&small_drive()).await;
    hang(&world, Endpoint::Download, 20);
    let stop = CancellationToken::new();
    let worker = world.worker_with(Setup { stop: stop.clone(), ..Setup::default() });
    let source = source_name();
    let stopper = async {
        eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 20).await;
        stop.cancel();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), stopper);
    let end = end.unwrap();
    assert_eq!(end.exit(), Exit::TryAgain);
    assert_eq!(world.get_run(&end.run).await.reason, "WORKER_STOPPED");
    let left = world.get_source().await;
    assert_eq!(left.state(), pb::SourceState::Idle, "stopping a worker says nothing about the source");
    world.sim.faults().clear();
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.iter().map(sync_service::worker::RunEnd::exit).collect::<Vec<_>>(), [Exit::Done]);
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_cancelled_run_stops_and_the_next_one_completes() {
    let world = World::new(&small_drive()).await;
    hang(&world, Endpoint::Download, 5);
    let worker = world.worker();
    let source = source_name();
    let cancel = async {
        eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 5).await;
        let name = world.get_source().await.latest_run;
        world.runs().await.cancel_run(pb::CancelRunRequest { name }).await.unwrap();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), cancel);
    let run = world.get_run(&end.unwrap().run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Cancelled, "CANCELLED"));
    assert!(run.issues.is_empty(), "what was not reached is no issue: {:?}", run.issues);
    world.sim.faults().clear();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_worker_outlives_a_restart_of_the_service() {
    let mut world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 300 }).on(Endpoint::Download));
    let worker = world.worker();
    let run = Arc::new(worker);
    let source = source_name();
    let mut running = tokio::task::JoinSet::new();
    let task = Arc::clone(&run);
    running.spawn(async move { task.run_source(&source).await });
    eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 5).await;
    world.stop_sync_service().await;
    world.start_sync_service().await;
    let end = running.join_next().await.unwrap().unwrap().unwrap();
    assert!(end.error.is_none(), "{end:?}");
    world.assert_equal();
    world.sim.faults().clear();
    world.end().await;
}

#[tokio::test]
async fn a_worker_outlives_connections_that_break_under_its_calls() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 100 }).on(Endpoint::Download));
    let lifecycle = Lifecycle::new();
    let proxy = CutProxy::start(world.sync_address, &lifecycle).await;
    let worker = world.worker_with(Setup { sync_service: Some(proxy.address), ..Setup::default() });
    let source = source_name();
    let cutter = async {
        // At any moment, also in the middle of a call.
        eventually("the lease", async || world.get_source().await.state() == pb::SourceState::Running).await;
        let mut pause = Duration::from_millis(3);
        for _ in 0..12 {
            proxy.cut();
            tokio::time::sleep(pause).await;
            pause += Duration::from_millis(7);
        }
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), cutter);
    let end = end.unwrap();
    assert!(end.error.is_none(), "{end:?}");
    assert!(proxy.connections() > 3);
    world.assert_equal();
    lifecycle.shut_down(Duration::from_secs(5)).await;
    world.end().await;
}

#[tokio::test]
async fn asking_for_a_run_during_one_makes_the_next_due_at_once() {
    let world = World::new(&small_drive()).await;
    hang(&world, Endpoint::Download, 5);
    let worker = world.worker();
    let source = source_name();
    let ask = async {
        eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 5).await;
        world.sources().await.sync_source(pb::SyncSourceRequest { name: SOURCE.into() }).await.unwrap();
        world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "meanwhile".into() }).unwrap();
        // Whatever hangs is let go by a cut: the fault is taken away first.
        world.sim.faults().clear();
        let name = world.get_source().await.latest_run;
        world.runs().await.cancel_run(pb::CancelRunRequest { name }).await.unwrap();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), ask);
    end.unwrap();
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.len(), 1, "due although the interval is not over");
    world.assert_equal();
    assert!(world.worker().drain().await.unwrap().is_empty(), "and only once");
    world.end().await;
}

#[tokio::test]
async fn serving_workers_follow_what_becomes_due_and_stop_when_told() {
    let world = World::new(&small_drive()).await;
    let stop = CancellationToken::new();
    let worker = world.worker_with(Setup { stop: stop.clone(), ..Setup::default() });
    let watcher = async {
        eventually("the first run", async || {
            let source = world.get_source().await;
            !source.latest_run.is_empty() && source.state() == pb::SourceState::Idle
        })
        .await;
        world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "later".into() }).unwrap();
        world.sources().await.sync_source(pb::SyncSourceRequest { name: SOURCE.into() }).await.unwrap();
        eventually("the second run", async || world.mirror().join("later").exists()).await;
        stop.cancel();
    };
    tokio::join!(worker.serve(), watcher);
    world.assert_equal();
    world.end().await;
}
