//! A mirror that is read anew: what is not as it was put there is named, and nothing is changed.

mod heal;
mod leased;
pub(crate) mod operations;

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::{Duration, SystemTime},
};

use proto::sync::v1 as pb;
use sea_orm::ConnectionTrait as _;
use service_kit::database::{self, DatabaseUrl, PoolOptions};
use simulator::DriveSpec;

use crate::{
    plans::{apply, ask_for, everything, file, findings, lines, mkdir, only_run, suspend},
    world::{World, empty_drive, small_drive},
};

/// A verification by a worker that finds it waiting: the run, and what it found. It must change nothing.
pub(crate) async fn verify(world: &World) -> (pb::Run, Vec<String>) {
    let before = everything(world).await;
    let asked = ask_for(world, pb::RunKind::Verify).await;
    assert_eq!((asked.kind(), asked.phase()), (pb::RunKind::Verify, pb::RunPhase::Waiting));
    let end = only_run(world).await;
    assert!(end.error.is_none(), "{end:?}");
    assert_eq!(end.run, asked.name);
    assert!(everything(world).await == before, "a verification changed something");
    let run = world.get_run(&end.run).await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    assert_eq!(run.stats.unwrap().graph_requests, 0);
    let found = findings(world, &end.run).await;
    (run, lines(&found))
}

pub(crate) async fn in_database(world: &World, sql: &str) {
    let database = DatabaseUrl::sqlite(world.home.path().join("sync.db"));
    let database = database::connect(&database, &PoolOptions::default()).await.unwrap();
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}

fn touch(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Other bytes, and neither size nor time tell.
pub(crate) fn rot(path: &Path) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
    touch(path, time);
}

#[tokio::test]
async fn a_mirror_as_it_was_left_has_no_findings_and_costs_no_token() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    suspend(&world, true).await;
    world.stop_token_service().await;
    let (run, found) = verify(&world).await;
    assert_eq!(found, Vec::<String>::new());
    let entries = world.drive.walk();
    let bytes: i64 = entries.iter().map(|entry| i64::try_from(entry.size).unwrap()).sum();
    let verified = run.activity.unwrap().verification.unwrap();
    assert_eq!((verified.files_done, verified.bytes_done), (60, bytes));
    assert_eq!((verified.files, verified.bytes), (60, bytes));
    world.end().await;
}

#[tokio::test]
async fn every_kind_of_drift_is_named() {
    let world = World::new(&empty_drive()).await;
    apply(&world, ["a", "b", "gone", "now-a-file", "now-a-link"].map(mkdir));
    let files = [
        "edited",
        "grown",
        "linked",
        "missing",
        "now-a-folder",
        "rotten",
        "socket",
        "sound",
        "touched",
        "unknown",
    ];
    apply(&world, files.map(|name| file(&format!("/a/{name}"), 5_000)));
    apply(&world, ["/gone/x", "/now-a-file/x", "/now-a-link/x", "/top"].map(|path| file(path, 5)));
    world.run_to_equality().await;

    let at = |path: &str| world.mirror().join(path);
    fs::write(at("a/edited"), [7; 5_000]).unwrap();
    fs::write(at("a/grown"), [7; 5_001]).unwrap();
    rot(&at("a/rotten"));
    let set = fs::metadata(at("a/touched")).unwrap().modified().unwrap();
    touch(&at("a/touched"), set - Duration::from_hours(1));
    for path in ["a/linked", "a/missing", "a/now-a-folder", "a/socket"] {
        fs::remove_file(at(path)).unwrap();
    }
    fs::create_dir(at("a/now-a-folder")).unwrap();
    fs::write(at("a/now-a-folder/mine"), "mine").unwrap();
    drop(UnixListener::bind(at("a/socket")).unwrap());
    // The very bytes, and a whole folder, but elsewhere: a link is never followed.
    let outside = world.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::copy(at("a/sound"), outside.join("linked")).unwrap();
    symlink(outside.join("linked"), at("a/linked")).unwrap();
    fs::rename(at("now-a-link"), outside.join("folder")).unwrap();
    symlink(outside.join("folder"), at("now-a-link")).unwrap();
    for folder in ["gone", "now-a-file"] {
        fs::remove_dir_all(at(folder)).unwrap();
    }
    fs::write(at("now-a-file"), "mine").unwrap();
    fs::write(at("b/mine"), "mine").unwrap();
    fs::create_dir_all(at("mine/deep")).unwrap();
    symlink(&outside, at("b/mine-too")).unwrap();
    in_database(&world, "UPDATE items SET applied_hash = NULL WHERE applied_name = 'unknown'").await;

    let (run, found) = verify(&world).await;
    let expected = [
        "changed a/edited CONTENT_DIFFERS",
        "changed a/grown SIZE_DIFFERS",
        "changed a/rotten CONTENT_DIFFERS",
        "extra b/mine",
        "extra b/mine-too",
        "extra mine",
        "missing a/missing",
        "missing gone",
        "unverifiable a/unknown NO_HASH",
        "wrong_kind a/linked IS_LINK",
        "wrong_kind a/now-a-folder IS_FOLDER",
        "wrong_kind a/socket IS_SPECIAL",
        "wrong_kind now-a-file IS_FILE",
        "wrong_kind now-a-link IS_LINK",
    ];
    assert_eq!(found, expected);
    let all = findings(&world, &run.name).await;
    let rotten = all.iter().find(|finding| finding.path == "a/rotten").unwrap();
    assert!(rotten.detail.contains("size and time as they were"), "{rotten:?}");
    let missing = all.iter().find(|finding| finding.path == "a/missing").unwrap();
    assert_eq!(missing.size, 5_000);
    world.end().await;
}

#[tokio::test]
async fn what_the_drive_says_by_now_is_no_drift() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5), file("/b", 5), file("/c", 5)]);
    world.run_to_equality().await;
    apply(&world, [file("/new", 5), simulator::Change::Edit { item: "/a".into(), size: Some(9) }]);
    assert_eq!(verify(&world).await.1, Vec::<String>::new());
    world.end().await;
}

#[tokio::test]
async fn a_folder_of_several_pages_is_verified_as_a_whole() {
    let world = World::new(&DriveSpec { seed: 3, ..empty_drive() }).await;
    apply(&world, (0..510).map(|number| mkdir(&format!("d{number}"))));
    apply(&world, (0..510).map(|number| file(&format!("/f{number}"), 3)));
    apply(&world, [file("/d509/x", 3), file("/d0/x", 3)]);
    world.run_to_equality().await;
    let (run, found) = verify(&world).await;
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(run.activity.unwrap().verification.unwrap().files_done, 512);
    for path in ["d509/x", "f509", "f99"] {
        fs::remove_file(world.mirror().join(path)).unwrap();
    }
    for number in 0..1_100 {
        fs::write(world.mirror().join(format!("mine{number}")), "").unwrap();
    }
    let (run, found) = verify(&world).await;
    assert_eq!(found.iter().filter(|line| line.starts_with("extra mine")).count(), 1_100);
    assert_eq!(&found[1_100..], ["missing d509/x", "missing f509", "missing f99"]);
    assert_eq!(run.finding_counts.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_missing_or_foreign_mirror_is_an_error_and_no_drift() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5)]);
    world.run_to_equality().await;
    let away = world.home.path().join("away");
    fs::rename(world.mirror(), &away).unwrap();
    let reason = async || {
        ask_for(&world, pb::RunKind::Verify).await;
        let end = only_run(&world).await;
        let run = world.get_run(&end.run).await;
        assert_eq!((run.state(), run.finding_counts.len()), (pb::RunState::NeedsPerson, 0));
        run.reason
    };
    assert_eq!(reason().await, "DESTINATION_MISSING");
    // The mount point without its disk.
    fs::create_dir(world.mirror()).unwrap();
    assert_eq!(reason().await, "DESTINATION_MISSING");
    fs::create_dir(world.mirror().join(".sluice")).unwrap();
    fs::write(world.mirror().join(".sluice/source.json"), "{}").unwrap();
    assert_eq!(reason().await, "DESTINATION_TAKEN");
    assert_eq!(world.get_source().await.state(), pb::SourceState::Idle);
    world.end().await;
}

#[tokio::test]
async fn a_source_that_was_never_mirrored_has_nothing_to_verify() {
    let world = World::new(&small_drive()).await;
    suspend(&world, true).await;
    assert_eq!(verify(&world).await.1, Vec::<String>::new());
    assert!(!world.mirror().exists());
    world.end().await;
}

#[tokio::test]
async fn what_a_dead_worker_was_at_is_not_taken_for_drift() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5), file("/b", 5), mkdir("d"), file("/d/x", 5)]);
    world.run_to_equality().await;
    let ids: Vec<(String, String)> =
        world.drive.walk().into_iter().map(|entry| (entry.path.join("/"), entry.id)).collect();
    let id = |path: &str| &ids.iter().find(|(known, _)| known == path).unwrap().1;
    // It moved a file and a folder, and lived to say neither.
    let journal = format!(
        "{{\"item_id\":\"{}\",\"token\":\"\",\"path\":[\"c\"],\"change\":{{\"do\":\"move\",\"from\":[\"a\"]}}}}\n\
         {{\"item_id\":\"{}\",\"token\":\"\",\"path\":[\"e\"],\"change\":{{\"do\":\"move\",\"from\":[\"d\"]}}}}\n",
        id("a"),
        id("d")
    );
    fs::write(world.mirror().join(".sluice/journal"), journal).unwrap();
    for (from, to) in [("a", "c"), ("d", "e")] {
        fs::rename(world.mirror().join(from), world.mirror().join(to)).unwrap();
    }
    fs::remove_file(world.mirror().join("b")).unwrap();
    let (_, found) = verify(&world).await;
    assert_eq!(found, ["missing b", "unverifiable a UNDER_WAY", "unverifiable d UNDER_WAY"]);
    world.end().await;
}
