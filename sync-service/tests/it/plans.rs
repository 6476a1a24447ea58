//! What a run would do, found out without doing it.

mod foreseen;
mod leased;
pub(crate) mod operations;

use std::{collections::BTreeMap, fs, time::Duration};

use proto::sync::v1 as pb;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use service_kit::database::{self, DatabaseUrl, PoolOptions};
use simulator::{Change, DriveSpec, Endpoint, Fault};
use sync_service::worker::RunEnd;

use crate::world::{SOURCE, Setup, World, empty_drive};

pub(crate) fn apply(world: &World, changes: impl IntoIterator<Item = Change>) {
    for change in changes {
        world.drive.apply(&change).unwrap();
    }
}

pub(crate) fn mkdir(name: &str) -> Change {
    Change::Mkdir { parent: "/".into(), name: name.into() }
}

pub(crate) fn file(path: &str, size: u64) -> Change {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() { "/" } else { parent };
    Change::CreateFile { parent: parent.into(), name: name.into(), size }
}

fn rename(item: &str, name: &str) -> Change {
    Change::Rename { item: item.into(), name: name.into() }
}

fn delete(item: &str) -> Change {
    Change::Delete { item: item.into() }
}

async fn ask(world: &World) -> pb::Run {
    ask_for(world, pb::RunKind::Plan).await
}

pub(crate) async fn ask_for(world: &World, kind: pb::RunKind) -> pb::Run {
    let request = pb::StartRunRequest { name: SOURCE.into(), kind: kind.into() };
    world.sources().await.start_run(request).await.unwrap().into_inner().run.unwrap()
}

/// The end of the only run that a worker finds to do.
pub(crate) async fn only_run(world: &World) -> RunEnd {
    let mut ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends.remove(0)
}

pub(crate) async fn findings(world: &World, run: &str) -> Vec<pb::Finding> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListFindingsRequest { run: run.into(), page_size: 3, page_token };
        let page = world.runs().await.list_findings(request).await.unwrap().into_inner();
        assert!(page.findings.len() <= 3);
        all.extend(page.findings);
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}

/// A plan, made by a worker that finds it waiting, with the run as it is afterwards.
async fn plan(world: &World) -> (pb::Run, Vec<pb::Finding>) {
    let before = everything(world).await;
    let asked = ask(world).await;
    assert_eq!((asked.kind(), asked.phase()), (pb::RunKind::Plan, pb::RunPhase::Waiting));
    let end = only_run(world).await;
    assert!(end.error.is_none(), "{end:?}");
    assert_eq!(end.run, asked.name);
    assert!(everything(world).await == before, "a plan changed something");
    let run = world.get_run(&end.run).await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    let found = findings(world, &end.run).await;
    for count in &run.finding_counts {
        let of_kind: Vec<_> = found.iter().filter(|finding| finding.kind == count.kind).collect();
        let bytes: i64 = of_kind.iter().map(|finding| finding.size).sum();
        assert_eq!((i64::try_from(of_kind.len()).unwrap(), bytes), (count.items, count.bytes));
    }
    assert_eq!(
        run.finding_counts.iter().map(|count| count.items).sum::<i64>(),
        i64::try_from(found.len()).unwrap()
    );
    (run, found)
}

/// Every file of the mirror, Sluice's own included, with its time, and everything that the database knows of sources and items.
pub(crate) async fn everything(world: &World) -> (BTreeMap<String, String>, Vec<String>) {
    let mut files = BTreeMap::new();
    let mut open = vec![world.mirror()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            let content = metadata.is_file().then(|| fs::read(entry.path()).unwrap());
            let seen = format!("{:?} {content:?}", metadata.modified().unwrap());
            files.insert(entry.path().to_str().unwrap().to_owned(), seen);
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    let database = DatabaseUrl::sqlite(world.home.path().join("sync.db"));
    let database = database::connect(&database, &PoolOptions::default()).await.unwrap();
    let mut rows = Vec::new();
    for sql in [
        "SELECT quote(item_id) || quote(parent_id) || quote(local_name) || quote(kind) || quote(scope) || quote(size) || quote(version) \
         || quote(applied_parent_id) || quote(applied_name) || quote(applied_version) || quote(applied_file_time) || quote(generation) \
         || quote(work) || quote(failed_run_key) || quote(attempts) || quote(next_attempt_time) AS text FROM items ORDER BY item_id",
        "SELECT quote(cursor) || quote(cursor_state) || quote(generation) || quote(enumerating) || quote(listing) || quote(full_time) \
         || quote(filter_changed) || quote(feed_failures) || quote(asleep) || quote(next_run_time) || quote(failures) || quote(state) \
         || quote(approved_deletions) || quote(latest_run_id) || quote(destination_filled) AS text FROM sources",
    ] {
        let found = database.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        rows.extend(found.iter().map(|row| row.try_get::<String>("", "text").unwrap()));
    }
    database.close().await.unwrap();
    (files, rows)
}

/// Kind and path, with where it is now behind an arrow, and the reason.
pub(crate) fn lines(found: &[pb::Finding]) -> Vec<String> {
    let mut lines: Vec<String> = found
        .iter()
        .map(|finding| {
            let kind = finding.kind().as_str_name().trim_start_matches("FINDING_KIND_").to_lowercase();
            let from = if finding.from_path.is_empty() {
                String::new()
            } else {
                format!(" <- {}", finding.from_path)
            };
            let reason =
                if finding.reason.is_empty() { String::new() } else { format!(" {}", finding.reason) };
            format!("{kind} {}{from}{reason}", finding.path)
        })
        .collect();
    lines.sort();
    lines
}

/// What is held of a plan is what the run then does.
fn assert_came_true(plan: &pb::Run, run: &pb::Run) {
    let planned = |kind: pb::FindingKind| {
        plan.finding_counts
            .iter()
            .find(|count| count.kind() == kind)
            .map_or((0, 0), |count| (count.items, count.bytes))
    };
    let did = run.stats.unwrap();
    assert_eq!(planned(pb::FindingKind::MakeFolder).0, did.folders_made);
    assert_eq!(planned(pb::FindingKind::Transfer), (did.files_transferred, did.bytes_transferred));
    assert_eq!(planned(pb::FindingKind::Delete).0, did.items_deleted);
    assert_eq!(plan.listing_cause(), run.listing_cause());
    assert_eq!(plan.stats.unwrap().deletions_held, did.deletions_held);
}

pub(crate) async fn suspend(world: &World, suspended: bool) {
    let request = pb::UpdateSourceRequest {
        source: Some(pb::Source { name: SOURCE.into(), suspended, ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["suspended".into()] }),
    };
    world.sources().await.update_source(request).await.unwrap();
}

#[tokio::test]
async fn a_plan_of_a_new_source_names_everything_and_makes_nothing() {
    let world = World::new(&DriveSpec { files: 30, folders: 6, ..crate::world::small_drive() }).await;
    suspend(&world, true).await;
    let (planned, found) = plan(&world).await;
    assert!(!world.mirror().exists(), "not even the folder");
    let entries = world.drive.walk();
    assert_eq!(found.len(), entries.len());
    let stats = planned.stats.unwrap();
    assert_eq!(stats.files_planned, 30);
    assert_eq!(
        stats.bytes_planned,
        entries.iter().map(|entry| i64::try_from(entry.size).unwrap()).sum::<i64>()
    );
    suspend(&world, false).await;
    assert_came_true(&planned, &world.run_to_equality().await);
    world.end().await;
}

#[tokio::test]
async fn a_plan_names_what_the_next_run_does() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [mkdir("old"), mkdir("gone"), file("/old/moved.txt", 5), file("/old/edited.txt", 6)]);
    apply(&world, [file("/gone/inside.txt", 7), file("/one", 8), file("/two", 9), file("/stays.txt", 1)]);
    world.run_to_equality().await;
    apply(&world, [rename("/old", "new"), Change::Edit { item: "/new/edited.txt".into(), size: Some(60) }]);
    apply(
        &world,
        [Change::Move { item: "/new/moved.txt".into(), parent: "/".into(), name: None }, delete("/gone")],
    );
    // Two that change places.
    apply(&world, [rename("/one", "three"), rename("/two", "one"), rename("/three", "two")]);
    apply(&world, [mkdir("deep"), file("/deep/fresh.txt", 70)]);
    let (planned, found) = plan(&world).await;
    let expected = [
        "delete gone",
        "delete gone/inside.txt",
        "make_folder deep",
        "move moved.txt <- old/moved.txt",
        "move new <- old",
        "move one <- two",
        "move two <- one",
        "transfer deep/fresh.txt",
        "transfer new/edited.txt",
    ];
    assert_eq!(lines(&found), expected);
    assert_came_true(&planned, &world.run_to_equality().await);
    let (planned, found) = plan(&world).await;
    assert_eq!((found.len(), planned.stats.unwrap().graph_requests), (0, 1), "nothing is left to do");
    world.end().await;
}

#[tokio::test]
async fn a_plan_says_which_deletions_the_brake_would_hold() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [mkdir("d"), file("/stays.txt", 1)]);
    apply(&world, (0..30).map(|index| file(&format!("/d/{index}"), 3)));
    world.run_to_equality().await;
    apply(&world, [delete("/d"), file("/new.txt", 4)]);
    let (planned, found) = plan(&world).await;
    assert_eq!(planned.stats.unwrap().deletions_held, 31);
    let lines = lines(&found);
    assert!(lines.contains(&"leave d/7 DELETION_HELD".to_owned()), "{lines:?}");
    assert!(lines.contains(&"transfer new.txt".to_owned()) && lines.len() == 32, "{lines:?}");
    let run = world.run_to_end().await;
    assert_eq!(run.reason, "DELETIONS_NEED_APPROVAL");
    assert_came_true(&planned, &run);
    // A plan in between takes nothing from what can be approved.
    plan(&world).await;
    let approval = pb::ApproveDeletionsRequest { name: run.name, max_deletions: 31 };
    world.runs().await.approve_deletions(approval).await.unwrap();
    // The approval makes the source due: the plan comes first.
    let asked = ask(&world).await;
    let ends = world.worker().drain().await.unwrap();
    assert_eq!((ends.len(), ends[0].run.as_str()), (2, asked.name.as_str()));
    let planned = world.get_run(&asked.name).await;
    assert_eq!(planned.stats.unwrap().deletions_held, 0, "it was approved");
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_plan_says_what_of_peoples_own_would_be_kept_aside() {
    let world = World::new(&empty_drive()).await;
    apply(
        &world,
        [file("/edited.txt", 5), file("/deleted.txt", 5), file("/same.txt", 5), file("/stays.txt", 5)],
    );
    apply(&world, [mkdir("a"), file("/a/inside.txt", 5)]);
    world.run_to_equality().await;
    for mine in ["edited.txt", "deleted.txt", "a/inside.txt", "new.txt", "folder"] {
        fs::write(world.mirror().join(mine), format!("mine: {mine}")).unwrap();
    }
    fs::create_dir(world.mirror().join("made")).unwrap();
    for changed in ["/edited.txt", "/same.txt", "/a/inside.txt"] {
        apply(&world, [Change::Edit { item: changed.into(), size: Some(70) }]);
    }
    // Below a folder that the run moves first: it is looked at where it is now.
    apply(
        &world,
        [rename("/a", "b"), delete("/deleted.txt"), file("/new.txt", 9), mkdir("folder"), mkdir("made")],
    );
    let (_, found) = plan(&world).await;
    let kept: Vec<String> = lines(&found).into_iter().filter(|line| line.starts_with("keep")).collect();
    let expected = [
        "keep a/inside.txt LOCAL_EDIT_KEPT",
        "keep deleted.txt LOCAL_EDIT_KEPT",
        "keep edited.txt LOCAL_EDIT_KEPT",
        "keep folder LOCAL_FILE_KEPT",
        "keep new.txt LOCAL_FILE_KEPT",
    ];
    assert_eq!(kept, expected);
    let run = world.run_to_end().await;
    assert_eq!(run.stats.unwrap().local_kept, 5);
    world.end().await;
}

#[tokio::test]
async fn a_plan_says_which_items_are_left_alone_and_why() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/good.txt", 5)]);
    world.run_to_equality().await;
    apply(&world, [file("/bad.txt", 5_000), Change::Infect { item: "/bad.txt".into() }]);
    world.run_to_end().await;
    world.run_to_end().await;
    let (_, found) = plan(&world).await;
    assert_eq!(lines(&found), ["leave bad.txt MALWARE"]);
    assert!(found[0].detail.contains("left alone until"), "{found:?}");
    world.clock.advance(Duration::from_mins(31));
    ask(&world).await;
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(lines(&findings(&world, &ends[0].run).await), ["transfer bad.txt"], "its pause is over");
    world.end().await;
}

#[tokio::test]
async fn a_plan_shows_what_another_filter_does() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5), file("/b.txt", 5), file("/c.txt", 5), file("/big.iso", 500)]);
    world.run_to_equality().await;
    suspend(&world, true).await;
    let filter = pb::Filter { exclude: vec!["*.iso".into()], ..Default::default() };
    let request = pb::UpdateSourceRequest {
        source: Some(pb::Source { name: SOURCE.into(), filter: Some(filter), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["filter".into()] }),
    };
    world.sources().await.update_source(request).await.unwrap();
    let (planned, found) = plan(&world).await;
    assert_eq!(
        (lines(&found), planned.stats.unwrap().graph_requests),
        (vec!["delete big.iso".to_owned()], 1)
    );
    world.end().await;
}

#[tokio::test]
async fn a_plan_lists_the_drive_afresh_where_the_run_would() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5), file("/b.txt", 5), file("/c.txt", 5)]);
    world.run_to_equality().await;
    apply(&world, [delete("/a.txt")]);
    world.drive.expire_delta_links();
    let (planned, found) = plan(&world).await;
    assert_eq!(planned.listing_cause(), pb::ListingCause::LinkExpired);
    assert_eq!(lines(&found), ["delete a.txt"]);
    assert_came_true(&planned, &world.run_to_equality().await);
    world.clock.advance(Duration::from_hours(7 * 24));
    ask(&world).await;
    let ends = world.worker().drain().await.unwrap();
    let (planned, run) = (world.get_run(&ends[0].run).await, world.get_run(&ends[1].run).await);
    assert_eq!(planned.listing_cause(), pb::ListingCause::Periodic);
    assert_came_true(&planned, &run);
    world.end().await;
}

#[tokio::test]
async fn a_plan_of_a_missing_mirror_says_so_and_makes_none() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5)]);
    world.run_to_equality().await;
    fs::rename(world.mirror(), world.home.path().join("elsewhere")).unwrap();
    ask(&world).await;
    let end = only_run(&world).await;
    let run = world.get_run(&end.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DESTINATION_MISSING"));
    assert!(!world.mirror().exists());
    assert_eq!(
        world.get_source().await.state(),
        pb::SourceState::Idle,
        "the source itself has not been tried"
    );
    world.end().await;
}

#[tokio::test]
async fn a_plan_over_a_broken_connection_needs_a_person_and_changes_nothing() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5)]);
    world.run_to_equality().await;
    let (before, latest) = (everything(&world).await, world.get_source().await.latest_run);
    assert!(world.sim.revoke(simulator::FIRST_USER, 50_173));
    world.sim.clock().advance(Duration::from_hours(2));
    ask(&world).await;
    let end = only_run(&world).await;
    let run = world.get_run(&end.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "NEEDS_REAUTH"), "{run:?}");
    let after = everything(&world).await;
    // The source itself may have been put to sleep meanwhile: its connection is broken.
    let (items, _) = before.1.split_at(before.1.len() - 1);
    assert_eq!((&after.0, &after.1[..items.len()]), (&before.0, items));
    assert_eq!(world.get_source().await.latest_run, latest);
    world.end().await;
}

#[tokio::test]
async fn a_plan_that_fails_in_the_middle_leaves_everything_as_it_was() {
    let world =
        World::new(&DriveSpec { files: 600, folders: 3, max_file_bytes: 10, ..crate::world::small_drive() })
            .await;
    world.run_to_equality().await;
    world.drive.random_changes(3, 40);
    world.drive.expire_delta_links();
    // The second page of the fresh listing.
    world.sim.faults().add(Fault::status(400, None).on(Endpoint::Delta).skip(2));
    let before = everything(&world).await;
    ask(&world).await;
    let worker = world.worker_with(Setup { links_and_page: Some((1000, 100)), ..Setup::default() });
    let end = worker.drain().await.unwrap().remove(0);
    assert!(end.error.is_some(), "{end:?}");
    assert_eq!(world.get_run(&end.run).await.state(), pb::RunState::Failed);
    assert!(everything(&world).await == before);
    world.sim.faults().clear();
    let (planned, _) = plan(&world).await;
    assert_came_true(&planned, &world.run_to_equality().await);
    world.end().await;
}
