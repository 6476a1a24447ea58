//! Files that come in ranges: in any order, by one worker after another, and never of two versions.

use std::time::Duration;

use proto::sync::v1 as pb;
use simulator::{Change, Endpoint, Fault, FaultKind};

use crate::world::{World, empty_drive, eventually, source_name};

const MIB: u64 = 1024 * 1024;

/// A file of five ranges and a bit.
const SIZE: u64 = 42 * MIB;

/// What a kill may cost: the ranges under way.
const UNDER_WAY: u64 = 4 * 8 * MIB;

async fn big_file() -> World {
    let world = World::new(&empty_drive()).await;
    world
        .drive
        .apply(&Change::CreateFile { parent: "/".into(), name: "big.bin".into(), size: SIZE })
        .unwrap();
    world
}

fn parts(world: &World) -> usize {
    std::fs::read_dir(world.mirror().join(".sluice/parts")).map_or(0, Iterator::count)
}

/// A worker that is killed once so many bytes were sent.
async fn run_until_bytes(world: &World, bytes: u64) {
    let (worker, source) = (world.worker(), source_name());
    tokio::select! {
        end = worker.run_source(&source) => panic!("ended before it was killed: {end:?}"),
        () = eventually("bytes", async || noted(world) >= bytes) => {}
    }
    drop(worker);
    world.expire_leases();
}

/// Bytes that are noted as being there.
fn noted(world: &World) -> u64 {
    let Ok(entries) = std::fs::read_dir(world.mirror().join(".sluice/parts")) else { return 0 };
    let notes = entries.filter_map(|entry| std::fs::read(entry.unwrap().path().with_extension("note")).ok());
    let sum = |note: Vec<u8>| -> u64 {
        let note: serde_json::Value = serde_json::from_slice(&note).unwrap();
        let spans = note["done"].as_array().unwrap();
        spans.iter().map(|span| span["end"].as_u64().unwrap() - span["start"].as_u64().unwrap()).sum()
    };
    notes.map(sum).max().unwrap_or(0)
}

#[tokio::test]
async fn a_big_file_comes_in_ranges_and_every_byte_once() {
    let world = big_file().await;
    let stats = world.run_to_equality().await.stats.unwrap();
    let counters = world.sim.counters();
    assert_eq!((counters.of(Endpoint::Download), counters.of(Endpoint::Item)), (6, 0));
    assert_eq!(counters.bytes_served, SIZE);
    assert_eq!(u64::try_from(stats.bytes_transferred).unwrap(), SIZE);
    assert_eq!(parts(&world), 0);
    world.end().await;
}

#[tokio::test]
async fn another_worker_goes_on_where_one_was_killed() {
    let world = big_file().await;
    run_until_bytes(&world, 16 * MIB).await;
    assert!(!world.mirror().join("big.bin").exists(), "nothing is visible before it is whole");
    let before = world.sim.counters().bytes_served;
    world.run_to_equality().await;
    let again = world.sim.counters().bytes_served - before;
    assert!(again <= SIZE - 16 * MIB, "{again} bytes");
    assert!(world.sim.counters().bytes_served <= SIZE + UNDER_WAY);
    assert_eq!(parts(&world), 0);
    world.end().await;
}

#[tokio::test]
async fn parts_of_an_old_version_are_not_joined_to_a_new_one() {
    for with_hash in [true, false] {
        let world = big_file().await;
        if !with_hash {
            world.sim.faults().add(Fault::new(FaultKind::MissingHash));
        }
        run_until_bytes(&world, 8 * MIB).await;
        world.drive.apply(&Change::Edit { item: "/big.bin".into(), size: Some(SIZE) }).unwrap();
        world.run_to_equality().await;
        assert_eq!(parts(&world), 0, "what was there of the old version is gone");
        world.end().await;
    }
}

#[tokio::test]
async fn a_big_file_that_changes_while_it_comes_is_left_for_the_next_run() {
    let world = big_file().await;
    let (worker, source) = (world.worker(), source_name());
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 500 }).on(Endpoint::Download).skip(4));
    let edit = async {
        eventually("the first range", async || noted(&world) > 0).await;
        world.drive.apply(&Change::Edit { item: "/big.bin".into(), size: Some(SIZE) }).unwrap();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), edit);
    let run = world.get_run(&end.unwrap().run).await;
    assert_eq!(run.state(), pb::RunState::Partial, "{run:?}");
    assert_eq!(run.issues[0].reason, "CHANGED_UNDERNEATH");
    assert!(!world.mirror().join("big.bin").exists());
    world.sim.faults().clear();
    world.run_to_equality().await;
    assert_eq!(parts(&world), 0);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_taken_as_it_is() {
    let world = big_file().await;
    world.sim.faults().add(Fault::new(FaultKind::RangeIgnored));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn ranges_that_break_off_are_gone_on_with() {
    let world = big_file().await;
    world.sim.faults().add(Fault::new(FaultKind::TruncatedBody).times(5));
    let run = world.run_to_equality().await;
    assert!(run.stats.unwrap().bytes_received <= i64::try_from(SIZE + MIB).unwrap());
    world.end().await;
}

/// airbytehq/airbyte#72382: after an hour the link of a long transfer was refused, and the transfer with it.
#[tokio::test]
async fn airbyte_72382_a_link_that_expires_within_a_file_is_asked_for_again() {
    let world = big_file().await;
    world.sim.switch(|switches| switches.download_link_seconds = 600);
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 200 }).on(Endpoint::Download).skip(4));
    let (worker, source) = (world.worker(), source_name());
    let later = async {
        eventually("the first range", async || noted(&world) > 0).await;
        world.sim.clock().advance(Duration::from_mins(20));
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), later);
    assert!(end.unwrap().error.is_none());
    world.assert_equal();
    assert_eq!(world.sim.counters().of(Endpoint::Item), 1, "one fresh link for all ranges");
    world.end().await;
}

/// abraunegg/onedrive#2471, for a file whose listed size is wrong and that comes in ranges.
#[tokio::test]
async fn abraunegg_2471_a_wrong_listed_size_does_not_matter_in_ranges() {
    let world = big_file().await;
    world.sim.faults().add(Fault::new(FaultKind::WrongListedSize));
    world.run_to_equality().await;
    world.end().await;
}
