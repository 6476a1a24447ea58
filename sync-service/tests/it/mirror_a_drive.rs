//! The main job, end to end: mirror a drive, follow its changes, do nothing when there is nothing to do.

use proto::sync::v1 as pb;
use simulator::{Change, DriveSpec, Endpoint};

use crate::world::{Setup, World, small_drive, source_name};

#[tokio::test]
async fn a_first_run_mirrors_everything_with_one_request_per_file() {
    let world = World::new(&small_drive()).await;
    let run = world.run_to_equality().await;
    let stats = run.stats.unwrap();
    assert_eq!(stats.files_transferred, 60);
    let counters = world.sim.counters();
    assert_eq!(counters.of(Endpoint::Download), 60);
    assert_eq!(counters.of(Endpoint::Item), 0, "links come with the pages");
    world.end().await;
}

#[tokio::test]
async fn a_drive_of_any_size_costs_one_request_per_file() {
    let world = World::new(&DriveSpec { files: 400, folders: 30, ..small_drive() }).await;
    let worker = world.worker_with(Setup { links_and_page: Some((60, 50)), ..Setup::default() });
    let end = worker.run_source(&source_name()).await.unwrap();
    assert!(end.error.is_none(), "{end:?}");
    world.assert_equal();
    let counters = world.sim.counters();
    assert_eq!((counters.of(Endpoint::Download), counters.of(Endpoint::Item)), (400, 0));
    world.end().await;
}

#[tokio::test]
async fn a_run_with_nothing_to_do_is_one_request() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    let before = world.sim.counters();
    let run = world.run_to_equality().await;
    let after = world.sim.counters();
    assert_eq!(after.graph_requests - before.graph_requests, 1);
    assert_eq!(after.of(Endpoint::Download), before.of(Endpoint::Download));
    assert_eq!(run.stats.unwrap().graph_requests, 1);
    world.end().await;
}

#[tokio::test]
async fn renaming_a_folder_downloads_nothing() {
    let world = World::new(&DriveSpec { files: 0, folders: 0, ..small_drive() }).await;
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "old".into() }).unwrap();
    for index in 0..30 {
        let file = Change::CreateFile { parent: "/old".into(), name: format!("{index}.txt"), size: 100 };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_equality().await;
    world.drive.apply(&Change::Rename { item: "/old".into(), name: "new".into() }).unwrap();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.items_moved, stats.files_transferred, stats.graph_requests), (1, 0, 1));
    world.end().await;
}

#[tokio::test]
async fn two_files_that_swap_names_are_renamed_only() {
    let world = World::new(&DriveSpec { files: 0, folders: 0, ..small_drive() }).await;
    for name in ["a", "b"] {
        world.drive.apply(&Change::CreateFile { parent: "/".into(), name: name.into(), size: 100 }).unwrap();
    }
    world.run_to_equality().await;
    world.drive.apply(&Change::SwapNames { left: "/a".into(), right: "/b".into() }).unwrap();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(
        (stats.items_moved, stats.files_transferred),
        (3, 0),
        "one of them by way of the staging folder"
    );
    world.end().await;
}

#[tokio::test]
async fn random_changes_are_followed_run_after_run() {
    let world = World::new(&small_drive()).await;
    for seed in 0..8 {
        world.drive.random_changes(seed, 25);
        world.run_to_equality().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_feed_with_every_bad_habit_is_followed() {
    let world = World::new(&small_drive()).await;
    world.sim.switch(|switches| {
        switches.delta.repeat_ancestors = true;
        switches.delta.create_before_delete = true;
        switches.delta.tombstone_page_size = Some(3);
    });
    for seed in 100..106 {
        world.drive.random_changes(seed, 25);
        world.run_to_equality().await;
    }
    world.end().await;
}

#[tokio::test]
async fn the_run_is_listed_with_its_source() {
    let world = World::new(&small_drive()).await;
    let run = world.run_to_equality().await;
    let request = pb::ListRunsRequest { parent: "tenants/acme/sources/docs".into(), ..Default::default() };
    let runs = world.runs().await.list_runs(request).await.unwrap().into_inner().runs;
    assert_eq!(runs.iter().map(|listed| &listed.name).collect::<Vec<_>>(), [&run.name]);
    let request = pb::GetSourceRequest { name: "tenants/acme/sources/docs".into() };
    let source = world.sources().await.get_source(request).await.unwrap().into_inner().source.unwrap();
    assert_eq!(source.latest_run, run.name);
    assert_eq!(source.state(), pb::SourceState::Idle);
    world.end().await;
}
