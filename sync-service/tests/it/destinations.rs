//! Destinations that are not what they should be, and people who change them.

use std::{fs, path::Path};

use proto::sync::v1 as pb;
use service_kit::exit::Exit;
use simulator::{Change, Endpoint};

use crate::world::{Setup, World, empty_drive, small_drive, source_name};

/// A source beside the usual one. Gives its name.
async fn source_at(world: &World, id: &str, folder: &Path) -> String {
    let request = pb::CreateSourceRequest {
        parent: "tenants/acme".into(),
        source_id: id.into(),
        source: Some(world.source_spec(folder)),
    };
    world.sources().await.create_source(request).await.unwrap().into_inner().source.unwrap().name
}

/// The reason for which a run of this source stops early, and its exit code.
async fn refusal(world: &World, source: &str) -> (pb::RunState, String, Exit) {
    let end = world.worker().run_source(&source.parse().unwrap()).await.unwrap();
    let run = world.get_run(&end.run).await;
    assert_eq!(
        run.stats.unwrap().graph_requests,
        0,
        "nothing is listed for a destination that cannot be used"
    );
    (run.state(), run.reason.clone(), end.exit())
}

fn needs_person(reason: &str) -> (pb::RunState, String, Exit) {
    (pb::RunState::NeedsPerson, reason.to_owned(), Exit::NeedsPerson)
}

fn add(world: &World, parent: &str, name: &str) {
    let file = Change::CreateFile { parent: parent.into(), name: name.into(), size: 40 };
    world.drive.apply(&file).unwrap();
}

fn mkdir(world: &World, parent: &str, name: &str) {
    world.drive.apply(&Change::Mkdir { parent: parent.into(), name: name.into() }).unwrap();
}

#[tokio::test]
async fn a_folder_that_holds_other_files_is_refused_and_left_alone() {
    let world = World::new(&small_drive()).await;
    let folder = world.home.path().join("photos");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mine.jpg"), b"mine").unwrap();
    let source = source_at(&world, "photos", &folder).await;
    assert_eq!(refusal(&world, &source).await, needs_person("DESTINATION_NOT_EMPTY"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "not even a folder of ours was made");
    world.end().await;
}

#[tokio::test]
async fn the_mirror_of_another_source_is_refused() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    let source = source_at(&world, "second", &world.mirror()).await;
    assert_eq!(refusal(&world, &source).await, needs_person("DESTINATION_TAKEN"));
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_file_is_no_destination() {
    let world = World::new(&small_drive()).await;
    let file = world.home.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let source = source_at(&world, "file", &file).await;
    assert_eq!(refusal(&world, &source).await, needs_person("DESTINATION_NOT_A_FOLDER"));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    world.end().await;
}

#[tokio::test]
async fn a_place_where_nobody_may_write_is_refused() {
    let world = World::new(&small_drive()).await;
    // Nobody makes folders here, not even root.
    let source = source_at(&world, "kernel", Path::new("/sys/kernel/sluice-mirror")).await;
    let (state, reason, exit) = refusal(&world, &source).await;
    assert_eq!((state, exit), (pb::RunState::NeedsPerson, Exit::NeedsPerson));
    assert!(["DESTINATION_DENIED", "DESTINATION_READ_ONLY"].contains(&reason.as_str()), "{reason}");
    world.end().await;
}

/// abraunegg/onedrive#2755: a folder that was not mounted looked as if everything had been deleted.
#[tokio::test]
async fn abraunegg_2755_a_mirror_that_vanished_is_not_an_empty_one() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    let away = world.home.path().join("away");
    fs::rename(world.mirror(), &away).unwrap();
    let source = crate::world::SOURCE;
    assert_eq!(refusal(&world, source).await, needs_person("DESTINATION_MISSING"));
    assert!(!world.mirror().exists());
    // The mount point without its disk.
    fs::create_dir(world.mirror()).unwrap();
    assert_eq!(refusal(&world, source).await, needs_person("DESTINATION_MISSING"));
    assert_eq!(fs::read_dir(world.mirror()).unwrap().count(), 0);
    fs::remove_dir(world.mirror()).unwrap();
    fs::rename(&away, world.mirror()).unwrap();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_file_that_somebody_removed_comes_back_when_it_moves() {
    let world = World::new(&empty_drive()).await;
    add(&world, "/", "a.txt");
    world.run_to_equality().await;
    fs::remove_file(world.mirror().join("a.txt")).unwrap();
    world.drive.apply(&Change::Rename { item: "/a.txt".into(), name: "b.txt".into() }).unwrap();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.files_transferred, 1);
    world.end().await;
}

#[tokio::test]
async fn a_folder_that_somebody_removed_comes_back_with_all_it_held_when_it_moves() {
    let world = World::new(&empty_drive()).await;
    mkdir(&world, "/", "d");
    mkdir(&world, "/d", "e");
    add(&world, "/d", "a.txt");
    add(&world, "/d/e", "b.txt");
    world.run_to_equality().await;
    fs::remove_dir_all(world.mirror().join("d")).unwrap();
    world.drive.apply(&Change::Rename { item: "/d".into(), name: "D".into() }).unwrap();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.folders_made, stats.files_transferred), (2, 2));
    world.end().await;
}

#[tokio::test]
async fn a_folder_that_somebody_removed_comes_back_with_all_it_held_when_something_is_put_into_it() {
    let world = World::new(&empty_drive()).await;
    mkdir(&world, "/", "d");
    mkdir(&world, "/d", "e");
    add(&world, "/d", "a.txt");
    world.run_to_equality().await;
    fs::remove_dir_all(world.mirror().join("d")).unwrap();
    add(&world, "/d", "new.txt");
    mkdir(&world, "/d/e", "new");
    world.run_to_end().await;
    world.run_to_end().await;
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn symbolic_links_lead_nothing_out_of_the_mirror() {
    let world = World::new(&empty_drive()).await;
    mkdir(&world, "/", "d");
    add(&world, "/d", "a.txt");
    world.run_to_equality().await;
    let outside = world.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(world.mirror().join("d")).unwrap();
    std::os::unix::fs::symlink(&outside, world.mirror().join("d")).unwrap();
    add(&world, "/d", "b.txt");
    world.drive.apply(&Change::Edit { item: "/d/a.txt".into(), size: Some(9) }).unwrap();
    let run = world.run_to_end().await;
    assert_eq!(run.state(), pb::RunState::Partial);
    world.run_to_end().await;
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let link = fs::read_dir(world.mirror())
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| entry.path().is_symlink());
    fs::remove_file(link.unwrap().path()).unwrap();
    world.assert_equal();
    world.end().await;
}

/// A file system of one megabyte, gone again when dropped. `None` where nobody may mount one.
pub(crate) struct TinyDisk<'a>(&'a Path);

impl<'a> TinyDisk<'a> {
    pub(crate) fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=1m", "sluice-test"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test]
async fn a_full_disk_stops_the_run_and_leaves_nothing_half_written() {
    let world = World::new(&empty_drive()).await;
    let folder = world.mirror();
    let Some(disk) = TinyDisk::mount(&folder) else {
        println!("no file system can be mounted here: the full disk is not tested");
        return;
    };
    add(&world, "/", "small.txt");
    world.run_to_equality().await;
    let big = Change::CreateFile { parent: "/".into(), name: "big.bin".into(), size: 2 << 20 };
    world.drive.apply(&big).unwrap();
    add(&world, "/", "other.txt");
    world.drive.apply(&Change::Delete { item: "/small.txt".into() }).unwrap();
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "DESTINATION_FULL"));
    assert_eq!(end.exit(), Exit::TryAgain);
    assert!(!folder.join("big.bin").exists() && !folder.join("small.txt").exists());
    assert!(folder.join("other.txt").exists(), "what fits is transferred");
    assert_eq!(fs::read_dir(folder.join(".sluice/tmp")).unwrap().count(), 0);
    world.drive.apply(&Change::Delete { item: "/big.bin".into() }).unwrap();
    world.run_to_equality().await;
    drop(disk);
    world.end().await;
}

#[tokio::test]
async fn the_reserve_stays_free_and_what_needs_no_room_is_done() {
    let world = World::new(&empty_drive()).await;
    for name in ["moved.txt", "deleted.txt"] {
        add(&world, "/", name);
    }
    world.run_to_equality().await;
    world.drive.apply(&Change::Rename { item: "/moved.txt".into(), name: "here.txt".into() }).unwrap();
    world.drive.apply(&Change::Delete { item: "/deleted.txt".into() }).unwrap();
    add(&world, "/", "new.txt");
    let downloads = world.sim.counters().of(Endpoint::Download);
    let greedy = world.worker_with(Setup { disk_reserve: u64::MAX, ..Setup::default() });
    let end = greedy.run_source(&source_name()).await.unwrap();
    drop(greedy);
    assert_eq!(end.exit(), Exit::TryAgain, "{end:?}");
    let run = world.get_run(&end.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "DESTINATION_FULL"));
    assert_eq!(world.sim.counters().of(Endpoint::Download), downloads, "nothing is asked for in vain");
    assert!(world.mirror().join("here.txt").exists() && !world.mirror().join("deleted.txt").exists());
    // Room was made: no pause keeps what did not fit from being tried again.
    world.run_to_equality().await;
    world.end().await;
}
