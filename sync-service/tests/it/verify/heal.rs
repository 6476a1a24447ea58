//! What is not as it was put there is put there again, and nothing of people's own is lost.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
};

use proto::sync::v1 as pb;
use service_kit::status::status_reason;
use simulator::Change;
use tonic::Code;

use super::{rot, verify};
use crate::{
    plans::{apply, ask_for, file, findings, lines, mkdir, only_run, suspend},
    world::{SOURCE, World, drive_tree, empty_drive, read_tree, small_drive},
};

/// A healing by a worker that finds it waiting: the run, and what it found.
async fn heal(world: &World) -> (pb::Run, Vec<String>) {
    let asked = ask_for(world, pb::RunKind::Heal).await;
    let end = only_run(world).await;
    assert!(end.error.is_none(), "{end:?}");
    assert_eq!(end.run, asked.name);
    let run = world.get_run(&end.run).await;
    assert_eq!(run.kind(), pb::RunKind::Heal);
    (run, lines(&findings(world, &end.run).await))
}

/// Everything of the drive's is there, whatever else is.
fn assert_whole(world: &World) {
    for (path, wanted) in drive_tree(&world.drive) {
        let at = world.mirror().join(path.replace('\u{1F}', "/"));
        let there = fs::symlink_metadata(&at).unwrap();
        match wanted {
            Some(bytes) => assert!(there.is_file() && fs::read(&at).unwrap() == bytes, "{path}"),
            None => assert!(there.is_dir(), "{path}"),
        }
    }
}

/// The next run finds nothing to do.
async fn assert_settled(world: &World) {
    let run = world.run_to_end().await;
    let stats = run.stats.unwrap();
    assert_eq!((run.state(), stats.graph_requests, stats.files_transferred), (pb::RunState::Succeeded, 1, 0));
}

#[tokio::test]
async fn every_kind_of_drift_is_healed_and_nothing_of_peoples_own_is_lost() {
    let world = World::new(&empty_drive()).await;
    apply(&world, ["a", "b", "gone", "now-a-file", "now-a-link"].map(mkdir));
    let files = ["edited", "linked", "missing", "now-a-folder", "rotten", "socket", "sound"];
    apply(&world, files.map(|name| file(&format!("/a/{name}"), 5_000)));
    apply(&world, ["/gone/x", "/now-a-file/x", "/now-a-link/x"].map(|path| file(path, 5)));
    world.run_to_equality().await;
    let at = |path: &str| world.mirror().join(path);
    fs::write(at("a/edited"), "mine: edited").unwrap();
    rot(&at("a/rotten"));
    for path in ["a/linked", "a/missing", "a/now-a-folder", "a/socket"] {
        fs::remove_file(at(path)).unwrap();
    }
    fs::create_dir(at("a/now-a-folder")).unwrap();
    fs::write(at("a/now-a-folder/mine"), "mine: inside").unwrap();
    drop(UnixListener::bind(at("a/socket")).unwrap());
    let outside = world.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "outside").unwrap();
    symlink(outside.join("x"), at("a/linked")).unwrap();
    for folder in ["gone", "now-a-file", "now-a-link"] {
        fs::remove_dir_all(at(folder)).unwrap();
    }
    symlink(&outside, at("now-a-link")).unwrap();
    fs::write(at("now-a-file"), "mine: file").unwrap();
    fs::write(at("b/mine"), "mine: extra").unwrap();

    let (run, found) = heal(&world).await;
    let expected = [
        "changed a/edited CONTENT_DIFFERS",
        "changed a/rotten CONTENT_DIFFERS",
        "extra b/mine",
        "missing a/missing",
        "missing gone",
        "wrong_kind a/linked IS_LINK",
        "wrong_kind a/now-a-folder IS_FOLDER",
        "wrong_kind a/socket IS_SPECIAL",
        "wrong_kind now-a-file IS_FILE",
        "wrong_kind now-a-link IS_LINK",
    ];
    assert_eq!(found, expected.map(|line| line.replace("edited CONTENT", "edited SIZE")));
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    let stats = run.stats.unwrap();
    assert_eq!((stats.files_transferred, stats.folders_made, stats.local_kept), (9, 3, 7));
    assert_whole(&world);
    let kept = |was: &str| {
        let notice = run.notices.iter().find(|notice| notice.detail.starts_with(&format!("{was} "))).unwrap();
        at(&notice.path)
    };
    assert_eq!(fs::read_to_string(kept("a/edited")).unwrap(), "mine: edited");
    assert_eq!(fs::read_to_string(kept("a/now-a-folder").join("mine")).unwrap(), "mine: inside");
    assert_eq!(fs::read_to_string(kept("now-a-file")).unwrap(), "mine: file");
    assert_eq!(fs::read(kept("a/rotten")).unwrap().len(), 5_000);
    assert!(fs::symlink_metadata(kept("now-a-link")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(at("b/mine")).unwrap(), "mine: extra");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was put through a link");

    assert_settled(&world).await;
    let (again, found) = heal(&world).await;
    assert!(found.len() == 8 && found.iter().all(|line| line.starts_with("extra")), "{found:?}");
    assert_eq!((again.state(), again.stats.unwrap().graph_requests), (pb::RunState::Succeeded, 1));
    world.end().await;
}

#[tokio::test]
async fn drift_and_changes_of_the_drive_are_mended_in_one_run() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [mkdir("d"), file("/d/inside", 5), mkdir("lost"), file("/lost/x", 5)]);
    apply(&world, ["/deleted", "/edited", "/moved", "/taken", "/stays"].map(|path| file(path, 50)));
    world.run_to_equality().await;
    let at = |path: &str| world.mirror().join(path);
    for path in ["deleted", "edited", "moved"] {
        rot(&at(path));
    }
    fs::remove_file(at("taken")).unwrap();
    fs::remove_dir_all(at("lost")).unwrap();
    let rename = |item: &str, name: &str| Change::Rename { item: item.into(), name: name.into() };
    apply(&world, [rename("/moved", "moved-too"), rename("/taken", "taken-too"), rename("/lost", "found")]);
    apply(&world, [Change::Edit { item: "/edited".into(), size: Some(60) }, rename("/d", "e")]);
    apply(&world, [Change::Delete { item: "/deleted".into() }]);
    let (run, _) = heal(&world).await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    assert_whole(&world);
    let moved = fs::read_dir(world.mirror())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains("local copy"));
    assert_eq!(moved.count(), 3, "what was rotten is kept, wherever it was to go");
    assert_settled(&world).await;
    world.end().await;
}

/// Every file and folder of the mirror but Sluice's own, deepest first.
fn paths(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries.into_iter().filter(|entry| !entry.ends_with(".sluice")) {
        if entry.is_dir() {
            paths(&entry, into);
        }
        into.push(entry);
    }
}

fn disturb(path: &Path, how: u64) {
    match (path.is_dir(), how) {
        (false, 0) => fs::remove_file(path).unwrap(),
        (false, 1) if fs::metadata(path).unwrap().len() > 0 => rot(path),
        (false, 2) => fs::write(path, "mine").unwrap(),
        (false, 3) => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }
        (true, 4) => fs::remove_dir_all(path).unwrap(),
        (true, 5) => {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "mine").unwrap();
        }
        _ => {}
    }
}

#[tokio::test]
async fn whatever_is_disturbed_is_healed_whatever_the_drive_does() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    for seed in 0..5 {
        let mut there = Vec::new();
        paths(&world.mirror(), &mut there);
        for (number, path) in (seed..).zip(&there) {
            if path.exists() {
                disturb(path, (number * 7 + seed) % 13);
            }
        }
        world.drive.random_changes(seed, 20);
        let (run, found) = heal(&world).await;
        assert_eq!(run.state(), pb::RunState::Succeeded, "seed {seed}: {run:?}");
        assert!(!found.is_empty(), "seed {seed}");
        let found = read_tree(&world.mirror());
        for (path, content) in drive_tree(&world.drive) {
            assert!(found.get(&path) == Some(&content), "seed {seed}: {path}");
        }
        assert_settled(&world).await;
        let (_, found) = verify(&world).await;
        assert!(found.iter().all(|line| line.starts_with("extra")), "seed {seed}: {found:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_suspended_source_is_not_healed() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5), file("/b", 5)]);
    world.run_to_equality().await;
    fs::remove_file(world.mirror().join("a")).unwrap();
    let asked = ask_for(&world, pb::RunKind::Heal).await;
    suspend(&world, true).await;
    assert!(world.worker().drain().await.unwrap().is_empty());
    let run = world.get_run(&asked.name).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "SOURCE_SUSPENDED"));
    let request = pb::StartRunRequest { name: SOURCE.into(), kind: pb::RunKind::Heal.into() };
    let refused = world.sources().await.start_run(request).await.unwrap_err();
    assert_eq!(status_reason(&refused).as_deref(), Some("SOURCE_SUSPENDED"));
    assert!(!world.mirror().join("a").exists());
    suspend(&world, false).await;
    heal(&world).await;
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_missing_mirror_is_not_healed() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5)]);
    world.run_to_equality().await;
    let away = world.home.path().join("away");
    fs::rename(world.mirror(), &away).unwrap();
    fs::create_dir(world.mirror()).unwrap();
    ask_for(&world, pb::RunKind::Heal).await;
    let end = only_run(&world).await;
    let run = world.get_run(&end.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DESTINATION_MISSING"));
    assert_eq!(fs::read_dir(world.mirror()).unwrap().count(), 0);
    fs::remove_dir(world.mirror()).unwrap();
    fs::rename(&away, world.mirror()).unwrap();
    assert_settled(&world).await;
    world.end().await;
}

#[tokio::test]
async fn the_brake_holds_while_healing() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [mkdir("d"), file("/stays", 1)]);
    apply(&world, (0..30).map(|index| file(&format!("/d/{index}"), 3)));
    world.run_to_equality().await;
    fs::remove_file(world.mirror().join("stays")).unwrap();
    apply(&world, [Change::Delete { item: "/d".into() }]);
    let (run, _) = heal(&world).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DELETIONS_NEED_APPROVAL"));
    assert!(world.mirror().join("d/7").exists() && world.mirror().join("stays").exists());
    let held = run.stats.unwrap().deletions_held;
    let approval = pb::ApproveDeletionsRequest { name: run.name, max_deletions: held };
    world.runs().await.approve_deletions(approval).await.unwrap();
    only_run(&world).await;
    world.assert_equal();
    world.end().await;
}

async fn lease(world: &World, kinds: &[pb::RunKind]) -> Option<pb::Lease> {
    let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
    let request = pb::LeaseRunRequest { worker: "by hand".into(), kinds, ..Default::default() };
    world.workers().await.lease_run(request).await.unwrap().into_inner().lease
}

fn gone(lease: &pb::Lease, item_id: &str) -> pb::ReportDriftRequest {
    let drift = vec![pb::Drift { item_id: item_id.into(), kind: pb::DriftKind::Gone.into() }];
    pb::ReportDriftRequest { run: lease.run.clone(), epoch: lease.epoch, drift }
}

#[tokio::test]
async fn a_worker_that_dies_while_healing_is_followed_by_another() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5), file("/b", 5), file("/c", 5)]);
    world.run_to_equality().await;
    let id = world.drive.walk().into_iter().find(|entry| entry.path == ["a"]).unwrap().id;
    for name in ["a", "b"] {
        fs::remove_file(world.mirror().join(name)).unwrap();
    }
    let asked = ask_for(&world, pb::RunKind::Heal).await;
    assert!(lease(&world, &[pb::RunKind::Plan, pb::RunKind::Verify]).await.is_none(), "it cannot heal");
    // Dies before all is verified: the next one begins anew.
    let first = lease(&world, &[pb::RunKind::Heal]).await.unwrap();
    assert_eq!((first.run.as_str(), first.kind()), (asked.name.as_str(), pb::RunKind::Heal));
    let mut client = world.workers().await;
    client.report_drift(gone(&first, &id)).await.unwrap();
    client.report_drift(gone(&first, &id)).await.unwrap();
    world.expire_leases();
    let second = lease(&world, &[pb::RunKind::Heal]).await.unwrap();
    assert_eq!((second.run.as_str(), second.kind()), (asked.name.as_str(), pb::RunKind::Heal));
    let late = client.report_drift(gone(&first, &id)).await.unwrap_err();
    assert_eq!(status_reason(&late).as_deref(), Some("LEASE_LOST"));
    let finding =
        pb::Finding { kind: pb::FindingKind::Missing.into(), path: "b".into(), ..Default::default() };
    let report = pb::ReportFindingsRequest {
        run: second.run.clone(),
        epoch: second.epoch,
        first_number: 0,
        findings: vec![finding],
    };
    client.report_findings(report).await.unwrap();
    let id = world.drive.walk().into_iter().find(|entry| entry.path == ["b"]).unwrap().id;
    client.report_drift(gone(&second, &id)).await.unwrap();
    // Dies while it lists: what is left is to mirror, and what was found stays.
    let request = pb::CommitPageRequest {
        run: second.run.clone(),
        epoch: second.epoch,
        read_with: second.cursor.clone(),
        result: Some(pb::commit_page_request::Result::ResyncRequired(pb::ResyncRequired {})),
        ..Default::default()
    };
    client.commit_page(request).await.unwrap();
    assert_eq!(client.report_drift(gone(&second, &id)).await.unwrap_err().code(), Code::InvalidArgument);
    world.expire_leases();
    let third = lease(&world, &[pb::RunKind::Heal]).await.unwrap();
    assert_eq!((third.run.as_str(), third.kind()), (asked.name.as_str(), pb::RunKind::Sync));
    world.expire_leases();
    assert_eq!(only_run(&world).await.run, asked.name);
    let run = world.get_run(&asked.name).await;
    assert_eq!((run.state(), run.stats.unwrap().files_transferred), (pb::RunState::Succeeded, 2), "{run:?}");
    assert_eq!(lines(&findings(&world, &asked.name).await), ["missing b"]);
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn drift_is_taken_from_runs_that_heal_only() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5)]);
    world.run_to_equality().await;
    ask_for(&world, pb::RunKind::Verify).await;
    let leased = lease(&world, &[pb::RunKind::Verify]).await.unwrap();
    let id = world.drive.walk().remove(0).id;
    let mut client = world.workers().await;
    assert_eq!(client.report_drift(gone(&leased, &id)).await.unwrap_err().code(), Code::InvalidArgument);
    let mut unknown = gone(&leased, &id);
    unknown.drift[0].kind = 0;
    assert_eq!(client.report_drift(unknown).await.unwrap_err().code(), Code::InvalidArgument);
    world.expire_leases();
    only_run(&world).await;
    assert_settled(&world).await;
    world.end().await;
}
