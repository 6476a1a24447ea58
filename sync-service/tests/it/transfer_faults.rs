//! Downloads that go wrong: what is at the destination is the old file, whole, or the new one, whole and verified.

use std::time::Duration;

use proto::sync::v1 as pb;
use simulator::{Change, Endpoint, Fault, FaultKind, ResetMoment};

use crate::world::{World, empty_drive, eventually, small_drive, source_name};

/// A drive with one file of some size.
async fn one_file(name: &str) -> World {
    let world = World::new(&empty_drive()).await;
    add(&world, name, 300_000);
    world
}

fn add(world: &World, name: &str, size: u64) {
    world.drive.apply(&Change::CreateFile { parent: "/".into(), name: name.into(), size }).unwrap();
}

fn only_issue(run: &pb::Run) -> (&str, &str) {
    assert_eq!(run.issues.len(), 1, "{run:?}");
    (run.issues[0].path.as_str(), run.issues[0].reason.as_str())
}

/// airbytehq/airbyte#72382, alcionai/corso#3069: links were taken at listing time, and a sync of more than an hour failed with 401.
#[tokio::test]
async fn airbyte_72382_a_link_that_expired_is_asked_for_again() {
    let world = World::new(&small_drive()).await;
    world.sim.switch(|switches| switches.download_link_seconds = 600);
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 200 }).on(Endpoint::Download).times(8));
    let worker = world.worker();
    let source = source_name();
    let later = async {
        eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 0).await;
        world.sim.clock().advance(Duration::from_mins(20));
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), later);
    let end = end.unwrap();
    assert!(end.error.is_none(), "{end:?}");
    world.assert_equal();
    let counters = world.sim.counters();
    assert!(counters.of(Endpoint::Item) >= 52, "a fresh link for every file behind the first ones");
    world.end().await;
}

#[tokio::test]
async fn links_that_are_refused_once_are_fetched_again() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::DownloadUrlFirst401));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn bodies_that_break_off_are_fetched_again() {
    let world = one_file("a.bin").await;
    world.sim.faults().add(Fault::new(FaultKind::TruncatedBody).times(2));
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.files_transferred, stats.bytes_transferred), (1, 300_000));
    world.end().await;
}

#[tokio::test]
async fn connections_that_break_are_made_again() {
    let world = World::new(&small_drive()).await;
    for (endpoint, moment) in [
        (Endpoint::Delta, ResetMoment::Before),
        (Endpoint::Delta, ResetMoment::After),
        (Endpoint::Download, ResetMoment::Before),
        (Endpoint::Download, ResetMoment::After),
    ] {
        world.sim.faults().add(Fault::new(FaultKind::ConnReset { moment }).on(endpoint).times(2));
    }
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn content_that_does_not_match_its_hash_is_never_put_in_place() {
    let world = one_file("a.txt").await;
    add(&world, "good.txt", 10);
    world.sim.faults().add(Fault::new(FaultKind::WrongHash).name_ends_with("a.txt"));
    let run = world.run_to_end().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Partial, "ITEMS_LEFT"));
    assert_eq!(only_issue(&run), ("a.txt", "HASH_MISMATCH"));
    assert!(!world.mirror().join("a.txt").exists());
    assert!(world.mirror().join("good.txt").exists(), "one bad file does not keep the others away");
    assert_eq!(std::fs::read_dir(world.mirror().join(".sluice/tmp")).unwrap().count(), 0);
    world.sim.faults().clear();
    world.drive.apply(&Change::Edit { item: "/a.txt".into(), size: None }).unwrap();
    world.run_to_equality().await;
    world.end().await;
}

/// rclone/rclone#2036: what did not match was removed, with nothing in its place.
#[tokio::test]
async fn rclone_2036_an_old_file_stays_whole_while_the_new_one_cannot_be_had() {
    let world = one_file("a.txt").await;
    world.run_to_equality().await;
    let old = std::fs::read(world.mirror().join("a.txt")).unwrap();
    world.drive.apply(&Change::Edit { item: "/a.txt".into(), size: Some(400_000) }).unwrap();
    world.sim.faults().add(Fault::new(FaultKind::WrongHash));
    let run = world.run_to_end().await;
    assert_eq!(only_issue(&run), ("a.txt", "HASH_MISMATCH"));
    assert!(std::fs::read(world.mirror().join("a.txt")).unwrap() == old);
    world.end().await;
}

/// rclone/rclone#9767 and its family since #2599: an Office file that differs from its listing was fetched for ever, or its only copy
/// removed.
#[tokio::test]
async fn rclone_9767_documents_that_the_provider_rewrites_are_taken_when_the_same_bytes_come_twice() {
    let world = one_file("report.docx").await;
    world.sim.faults().add(Fault::new(FaultKind::WrongHash));
    world.run_to_equality().await;
    assert_eq!(world.sim.counters().of(Endpoint::Download), 2);
    world.run_to_equality().await;
    assert_eq!(world.sim.counters().of(Endpoint::Download), 2, "not again on every run");
    world.end().await;
}

/// elastic/connectors#1568: SharePoint answers 200 with a text that tells of an error, the same each time, and that text was kept as the
/// file: also where the bytes of a document may differ from the listing.
#[tokio::test]
async fn elastic_1568_a_text_that_tells_of_an_error_is_no_content() {
    let world = one_file("report.docx").await;
    add(&world, "log_Error.txt", 10);
    // A file may have such a name itself.
    world.run_to_equality().await;
    world.drive.apply(&Change::Edit { item: "/report.docx".into(), size: None }).unwrap();
    let old = std::fs::read(world.mirror().join("report.docx")).unwrap();
    world.sim.faults().add(Fault::new(FaultKind::ErrorFile));
    let run = world.run_to_end().await;
    assert_eq!(only_issue(&run), ("report.docx", "ERROR_TEXT"));
    assert!(std::fs::read(world.mirror().join("report.docx")).unwrap() == old);
    world.sim.faults().clear();
    world.drive.apply(&Change::Edit { item: "/report.docx".into(), size: None }).unwrap();
    world.run_to_equality().await;
    world.end().await;
}

/// abraunegg/onedrive#2433, #2492 and #2654: without a hash, or with one that is not that of the bytes, files came again and again.
#[tokio::test]
async fn abraunegg_2433_files_without_a_hash_are_transferred_once() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::MissingHash));
    world.run_to_equality().await;
    let before = world.sim.counters().of(Endpoint::Download);
    world.run_to_equality().await;
    assert_eq!(world.sim.counters().of(Endpoint::Download), before);
    world.end().await;
}

/// abraunegg/onedrive#2471: pictures are listed with 3.0 MB and have 0.7 MB. The answer is right, the listing is not.
#[tokio::test]
async fn abraunegg_2471_a_wrong_listed_size_does_not_matter() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::WrongListedSize));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_file_that_is_gone_when_its_link_is_asked_for_is_left_for_the_next_run() {
    let world = one_file("a.txt").await;
    world.sim.faults().add(Fault::status(401, None).on(Endpoint::Download).times(1));
    world.sim.faults().add(Fault::new(FaultKind::Transient404).on(Endpoint::Item).times(1));
    let run = world.run_to_end().await;
    assert_eq!(only_issue(&run), ("a.txt", "ITEM_NOT_FOUND"));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_transferred_is_left_for_the_next_run() {
    let world = one_file("a.txt").await;
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 300 }).on(Endpoint::Download).times(1));
    let worker = world.worker();
    let source = source_name();
    let edit = async {
        eventually("the transfer", async || world.sim.counters().of(Endpoint::Download) > 0).await;
        world.drive.apply(&Change::Edit { item: "/a.txt".into(), size: Some(5) }).unwrap();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), edit);
    let run = world.get_run(&end.unwrap().run).await;
    assert_eq!(only_issue(&run), ("a.txt", "CHANGED_UNDERNEATH"));
    assert!(!world.mirror().join("a.txt").exists());
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_is_replaced() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::TokenEarlyExpiry).on(Endpoint::Delta).times(1));
    world.run_to_equality().await;
    world.drive.random_changes(1, 5);
    world.sim.faults().add(Fault::new(FaultKind::Cae401).on(Endpoint::Delta).times(1));
    world.run_to_equality().await;
    let counters = world.sim.counters();
    assert!(counters.claims_requests >= 1, "the challenge went back to the identity provider");
    world.end().await;
}

#[tokio::test]
async fn many_transfers_that_fail_in_a_row_end_the_run() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Download));
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "GRAPH_UNAVAILABLE"));
    assert!(run.issues.iter().all(|issue| issue.reason == "GRAPH_UNAVAILABLE"), "{:?}", run.issues);
    world.sim.faults().clear();
    world.run_to_equality().await;
    world.end().await;
}
