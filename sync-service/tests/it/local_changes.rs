//! What people change in a mirror is never lost, whatever the drive does.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, UNIX_EPOCH},
};

use proto::sync::v1 as pb;
use simulator::{Change, DriveSpec};

use crate::world::{World, empty_drive};

fn add(world: &World, parent: &str, name: &str) {
    let file = Change::CreateFile { parent: parent.into(), name: name.into(), size: 40 };
    world.drive.apply(&file).unwrap();
}

fn mkdir(world: &World, parent: &str, name: &str) {
    world.drive.apply(&Change::Mkdir { parent: parent.into(), name: name.into() }).unwrap();
}

fn edit(world: &World, item: &str) {
    world.drive.apply(&Change::Edit { item: item.into(), size: Some(50) }).unwrap();
}

fn delete(world: &World, item: &str) {
    world.drive.apply(&Change::Delete { item: item.into() }).unwrap();
}

fn write(world: &World, path: &str) {
    fs::write(world.mirror().join(path), format!("mine: {path}")).unwrap();
}

/// A mirrored drive of these files, `/` between folder and name, and one that stays: to empty a mirror needs approval.
async fn mirrored(files: &[&str]) -> World {
    let world = World::new(&empty_drive()).await;
    add(&world, "/", "stays.txt");
    for path in files {
        match path.rsplit_once('/') {
            Some((folder, name)) => {
                mkdir(&world, "/", folder);
                add(&world, &format!("/{folder}"), name);
            }
            None => add(&world, "/", path),
        }
    }
    world.run_to_equality().await;
    world
}

/// Runs, takes away what was kept, and compares the rest with the drive. Gives the kept ones: reason, where it was, content.
async fn run_keeping(world: &World) -> BTreeSet<(String, String)> {
    let run = world.run_to_end().await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    assert_eq!(run.stats.unwrap().local_kept, i64::try_from(run.notices.len()).unwrap());
    let mut kept = BTreeSet::new();
    for notice in run.notices {
        let path = world.mirror().join(&notice.path);
        let content = if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
            notice.path
        } else {
            let content = fs::read_to_string(&path).unwrap();
            fs::remove_file(&path).unwrap();
            content
        };
        kept.insert((notice.reason, content));
    }
    world.assert_equal();
    kept
}

fn kept(expected: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    expected.iter().map(|(reason, content)| ((*reason).to_owned(), (*content).to_owned())).collect()
}

#[tokio::test]
async fn abraunegg_2616_a_locally_edited_file_is_kept_when_the_drive_deletes_it() {
    let world = mirrored(&["a.txt", "b.txt"]).await;
    write(&world, "a.txt");
    delete(&world, "/a.txt");
    delete(&world, "/b.txt");
    assert_eq!(run_keeping(&world).await, kept(&[("LOCAL_EDIT_KEPT", "mine: a.txt")]));
    world.end().await;
}

#[tokio::test]
async fn abraunegg_2625_a_locally_edited_file_is_kept_when_the_drive_has_a_newer_one() {
    let world = mirrored(&["a.txt", "b.txt"]).await;
    write(&world, "a.txt");
    edit(&world, "/a.txt");
    edit(&world, "/b.txt");
    assert_eq!(run_keeping(&world).await, kept(&[("LOCAL_EDIT_KEPT", "mine: a.txt")]));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn abraunegg_3291_local_files_survive_every_way_of_deleting() {
    let world = mirrored(&["d/deleted.txt", "e/with-its-folder.txt", "replaced.txt", "other.txt"]).await;
    for path in ["d/deleted.txt", "e/with-its-folder.txt", "replaced.txt", "e/new.txt"] {
        write(&world, path);
    }
    delete(&world, "/d/deleted.txt");
    delete(&world, "/e");
    // Another item, and even another kind of item, under the same name.
    delete(&world, "/replaced.txt");
    add(&world, "/", "replaced.txt");
    delete(&world, "/other.txt");
    mkdir(&world, "/", "other.txt");
    // A fresh listing shows no deletions: it just does not show the items.
    world.drive.expire_delta_links();
    let run = world.run_to_end().await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    let contents: BTreeSet<String> = run
        .notices
        .iter()
        .filter(|notice| notice.reason == "LOCAL_EDIT_KEPT")
        .map(|notice| fs::read_to_string(world.mirror().join(&notice.path)).unwrap())
        .collect();
    let edited = ["d/deleted.txt", "e/with-its-folder.txt", "replaced.txt"];
    assert_eq!(contents, edited.iter().map(|path| format!("mine: {path}")).collect());
    assert_eq!(fs::read_to_string(world.mirror().join("e/new.txt")).unwrap(), "mine: e/new.txt");
    assert!(run.notices.iter().any(|notice| notice.reason == "FOLDER_KEPT" && notice.path == "e"));
    world.end().await;
}

#[tokio::test]
async fn abraunegg_2612_what_the_drive_still_has_is_not_deleted_by_a_full_listing() {
    let world = World::new(&DriveSpec { files: 40, folders: 8, ..crate::world::small_drive() }).await;
    world.run_to_equality().await;
    world.drive.expire_delta_links();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.items_deleted, stats.files_transferred, stats.local_kept), (0, 0, 0));
    world.end().await;
}

#[tokio::test]
async fn abraunegg_3512_empty_folders_are_made_once() {
    let world = World::new(&empty_drive()).await;
    mkdir(&world, "/", "empty");
    assert_eq!(world.run_to_equality().await.stats.unwrap().folders_made, 1);
    add(&world, "/", "a.txt");
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.folders_made, stats.items_deleted), (0, 0));
    world.end().await;
}

#[tokio::test]
async fn a_touched_file_is_replaced_and_deleted_as_if_nothing_had_happened() {
    let world = mirrored(&["a.txt", "b.txt"]).await;
    for name in ["a.txt", "b.txt"] {
        let file = fs::File::options().write(true).open(world.mirror().join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    }
    edit(&world, "/a.txt");
    delete(&world, "/b.txt");
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.local_kept, 0);
    world.end().await;
}

#[tokio::test]
async fn strangers_in_the_way_are_kept_under_another_name() {
    let world = mirrored(&["moved.txt", "folder/inside.txt"]).await;
    for name in ["new.txt", "to.txt", "folder-to"] {
        write(&world, name);
    }
    fs::create_dir(world.mirror().join("file.txt")).unwrap();
    write(&world, "file.txt/in-a-folder");
    write(&world, "dir");
    add(&world, "/", "new.txt");
    add(&world, "/", "file.txt");
    mkdir(&world, "/", "dir");
    add(&world, "/dir", "inside.txt");
    world.drive.apply(&Change::Rename { item: "/moved.txt".into(), name: "to.txt".into() }).unwrap();
    world.drive.apply(&Change::Rename { item: "/folder".into(), name: "folder-to".into() }).unwrap();
    let found = run_keeping(&world).await;
    let files = ["new.txt", "to.txt", "folder-to", "dir"].map(|name| format!("mine: {name}"));
    for content in files {
        assert!(found.contains(&("LOCAL_FILE_KEPT".to_owned(), content.clone())), "{content}: {found:?}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
    world.end().await;
}

#[tokio::test]
async fn a_folder_with_a_strangers_file_stays_as_its_owners() {
    let world = mirrored(&["d/a.txt"]).await;
    write(&world, "d/mine.txt");
    delete(&world, "/d");
    let run = world.run_to_end().await;
    assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
    assert_eq!((run.notices[0].reason.as_str(), run.notices[0].path.as_str()), ("FOLDER_KEPT", "d"));
    assert!(!world.mirror().join("d/a.txt").exists(), "what the drive had in it is gone");
    let again = world.run_to_end().await;
    assert_eq!((again.state(), again.notices.len()), (pb::RunState::Succeeded, 0));
    // The drive has such a folder again: the two become one.
    mkdir(&world, "/", "d");
    add(&world, "/d", "b.txt");
    world.run_to_end().await;
    assert_eq!(fs::read_to_string(world.mirror().join("d/mine.txt")).unwrap(), "mine: d/mine.txt");
    fs::remove_file(world.mirror().join("d/mine.txt")).unwrap();
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn deleted_and_replaced_files_lie_in_the_bin() {
    let world = mirrored(&["d/a.txt", "b.txt"]).await;
    let old: Vec<Vec<u8>> =
        ["d/a.txt", "b.txt"].iter().map(|path| fs::read(world.mirror().join(path)).unwrap()).collect();
    delete(&world, "/d");
    delete(&world, "/b.txt");
    add(&world, "/", "b.txt");
    world.run_to_equality().await;
    let days: Vec<_> = fs::read_dir(world.mirror().join(".sluice/bin")).unwrap().collect();
    let day = days[0].as_ref().unwrap().path();
    assert_eq!(days.len(), 1);
    let found: Vec<Vec<u8>> =
        ["d/a.txt", "b.txt"].iter().map(|path| fs::read(day.join(path)).unwrap()).collect();
    assert_eq!(found, old);
    world.end().await;
}
