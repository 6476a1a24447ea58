//! Items that cannot be fetched: listed with a reason, tried again with growing pauses, and in nobody's way.

use std::time::Duration;

use proto::sync::v1 as pb;
use simulator::{Change, Endpoint, Fault, FaultKind};

use crate::world::{SOURCE, World, empty_drive};

/// A drive with one file that cannot be fetched and one that can, after a first run.
async fn one_bad_file(bad: impl FnOnce(&World)) -> (World, pb::Run) {
    let world = World::new(&empty_drive()).await;
    add(&world, "good.txt");
    world.run_to_equality().await;
    add(&world, "bad.txt");
    bad(&world);
    let run = world.run_to_end().await;
    (world, run)
}

fn add(world: &World, name: &str) {
    world.drive.apply(&Change::CreateFile { parent: "/".into(), name: name.into(), size: 5_000 }).unwrap();
}

fn infect(world: &World) {
    world.drive.apply(&Change::Infect { item: "/bad.txt".into() }).unwrap();
}

/// Path, reason and attempts of the only issue.
fn issue(run: &pb::Run) -> (&str, &str, i32) {
    assert_eq!((run.state(), run.issues.len()), (pb::RunState::Partial, 1), "{run:?}");
    (run.issues[0].path.as_str(), run.issues[0].reason.as_str(), run.issues[0].attempts)
}

fn requests(run: &pb::Run) -> i64 {
    run.stats.as_ref().unwrap().graph_requests
}

#[tokio::test]
async fn a_run_with_nothing_but_items_that_wait_is_one_request() {
    let (world, run) = one_bad_file(infect).await;
    assert_eq!(issue(&run), ("bad.txt", "MALWARE", 1));
    let run = world.run_to_end().await;
    assert_eq!(issue(&run), ("bad.txt", "MALWARE", 2), "a first failure may pass: tried again at once");
    assert!(requests(&run) > 1);
    for _ in 0..3 {
        let run = world.run_to_end().await;
        assert_eq!(issue(&run), ("bad.txt", "MALWARE", 2), "still told");
        assert_eq!((requests(&run), run.stats.as_ref().unwrap().files_planned), (1, 0));
    }
    world.end().await;
}

#[tokio::test]
async fn pauses_grow_with_every_attempt() {
    let (world, _) = one_bad_file(infect).await;
    world.run_to_end().await;
    for (attempts, minutes) in [(3, 30), (4, 60), (5, 120)] {
        world.clock.advance(Duration::from_mins(minutes - 1));
        let run = world.run_to_end().await;
        assert_eq!((issue(&run).2, requests(&run)), (attempts - 1, 1), "too early");
        world.clock.advance(Duration::from_mins(1));
        assert_eq!(issue(&world.run_to_end().await).2, attempts);
    }
    world.end().await;
}

#[tokio::test]
async fn an_item_that_changes_is_tried_at_once() {
    let (world, _) = one_bad_file(infect).await;
    assert_eq!(issue(&world.run_to_end().await).2, 2);
    world.drive.apply(&Change::Delete { item: "/bad.txt".into() }).unwrap();
    add(&world, "bad.txt");
    world.run_to_equality().await;

    let wrong = world.sim.faults().add(Fault::new(FaultKind::WrongHash).name_ends_with("worse.txt"));
    add(&world, "worse.txt");
    for attempts in 1..=2 {
        assert_eq!(issue(&world.run_to_end().await), ("worse.txt", "HASH_MISMATCH", attempts));
    }
    assert!(world.sim.faults().remove(wrong));
    world.drive.apply(&Change::Edit { item: "/worse.txt".into(), size: None }).unwrap();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_run_that_somebody_asks_for_tries_everything() {
    let (world, _) = one_bad_file(infect).await;
    world.run_to_end().await;
    assert_eq!(requests(&world.run_to_end().await), 1);
    let request = pb::SyncSourceRequest { name: SOURCE.into() };
    world.sources().await.sync_source(request).await.unwrap();
    assert_eq!(issue(&world.run_to_end().await).2, 3);
    world.end().await;
}

/// abraunegg/onedrive#36: one locked file ended the program.
#[tokio::test]
async fn abraunegg_36_a_locked_file_fails_nothing_else() {
    for (status, reason) in [(423, "LOCKED"), (403, "ACCESS_DENIED"), (404, "ITEM_NOT_FOUND")] {
        let (world, run) = one_bad_file(|world| {
            world.sim.faults().add(Fault::status(status, None).on(Endpoint::Download));
            world.sim.faults().add(Fault::status(status, None).on(Endpoint::Item));
            world.drive.apply(&Change::Rename { item: "/good.txt".into(), name: "new.txt".into() }).unwrap();
        })
        .await;
        assert_eq!(issue(&run), ("bad.txt", reason, 1), "{status}");
        assert!(world.mirror().join("new.txt").exists(), "{status}");
        world.sim.faults().clear();
        world.run_to_equality().await;
        world.end().await;
    }
}

/// open-webui/open-webui#29489: what was refused for its content was sent again for ever.
#[tokio::test]
async fn open_webui_29489_what_never_matches_is_not_transferred_with_every_run() {
    let (world, run) = one_bad_file(|world| {
        world.sim.faults().add(Fault::new(FaultKind::WrongHash).name_ends_with("bad.txt"));
    })
    .await;
    assert_eq!(issue(&run), ("bad.txt", "HASH_MISMATCH", 1));
    world.run_to_end().await;
    let before = world.sim.counters().of(Endpoint::Download);
    for _ in 0..4 {
        assert_eq!(issue(&world.run_to_end().await).1, "HASH_MISMATCH");
    }
    assert_eq!(world.sim.counters().of(Endpoint::Download), before);
    world.end().await;
}
