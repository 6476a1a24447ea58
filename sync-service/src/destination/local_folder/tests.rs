//! A real folder, real files.

use std::os::unix::fs::symlink;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

fn marker(source: &str) -> Marker {
    Marker { source: source.into(), source_create_time: "2026-01-01T00:00:00Z".into() }
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

async fn opened() -> (TempDir, LocalFolder) {
    let home = TempDir::new().unwrap();
    let folder = LocalFolder::open(&home.path().join("mirror"), &marker("s"), false).await.unwrap();
    (home, folder)
}

async fn put(folder: &LocalFolder, at: &str, content: &'static [u8]) -> Result<(), DestinationError> {
    let mut file = folder.begin_file().await?;
    file.write(Bytes::from_static(content)).await?;
    file.finish(&path(at), Some(Timestamp::from_millis(1_700_000_000_000))).await
}

fn temporary_files(home: &TempDir) -> usize {
    std::fs::read_dir(home.path().join("mirror/.sluice/tmp")).unwrap().count()
}

#[tokio::test]
async fn a_file_appears_whole_and_with_its_time() {
    let (home, folder) = opened().await;
    put(&folder, "a.txt", b"one").await.unwrap();
    put(&folder, "a.txt", b"two").await.unwrap();
    folder.flush().await.unwrap();
    let file = home.path().join("mirror/a.txt");
    assert_eq!(std::fs::read(&file).unwrap(), b"two");
    let modified = file.metadata().unwrap().modified().unwrap();
    assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn an_abandoned_file_leaves_nothing() {
    let (home, folder) = opened().await;
    let mut file = folder.begin_file().await.unwrap();
    file.write(Bytes::from_static(b"half")).await.unwrap();
    drop(file);
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn what_a_killed_worker_left_is_cleared_on_opening() {
    let (home, folder) = opened().await;
    drop(folder);
    std::fs::write(home.path().join("mirror/.sluice/tmp/7"), b"half").unwrap();
    let _folder = LocalFolder::open(&home.path().join("mirror"), &marker("s"), true).await.unwrap();
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn moving_never_replaces_and_may_be_done_twice() {
    let (home, folder) = opened().await;
    put(&folder, "a", b"a").await.unwrap();
    put(&folder, "b", b"b").await.unwrap();
    let taken = folder.relocate(&path("a"), &path("b")).await;
    assert!(matches!(taken, Err(DestinationError::Taken { .. })));
    assert_eq!(std::fs::read(home.path().join("mirror/b")).unwrap(), b"b");
    folder.relocate(&path("a"), &path("c")).await.unwrap();
    folder.relocate(&path("a"), &path("c")).await.unwrap();
    let gone = folder.relocate(&path("x"), &path("y")).await;
    assert!(matches!(gone, Err(DestinationError::Missing { .. })));
    folder.flush().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_somebodys_file_is_not_deleted() {
    let (home, folder) = opened().await;
    folder.make_folder(&path("d")).await.unwrap();
    folder.make_folder(&path("d")).await.unwrap();
    std::fs::write(home.path().join("mirror/d/mine"), b"x").unwrap();
    let kept = folder.delete_folder(&path("d")).await;
    assert!(matches!(kept, Err(DestinationError::NotEmpty { .. })));
    folder.delete_file(&path("d/mine")).await.unwrap();
    folder.delete_folder(&path("d")).await.unwrap();
    folder.delete_folder(&path("d")).await.unwrap();
    folder.flush().await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_outside_the_root() {
    let (home, folder) = opened().await;
    let outside = home.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, home.path().join("mirror/link")).unwrap();
    for escape in ["link/a", "../a", "../outside/a"] {
        assert!(put(&folder, escape, b"x").await.is_err(), "{escape}");
        assert!(folder.make_folder(&path(escape)).await.is_err(), "{escape}");
    }
    std::fs::write(outside.join("kept"), b"x").unwrap();
    assert!(folder.delete_file(&path("link/kept")).await.is_err());
    assert!(folder.relocate(&path("link/kept"), &path("stolen")).await.is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn a_mirror_that_was_filled_and_is_gone_is_an_error() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    let reason = |result: Result<LocalFolder, DestinationError>| result.err().map(|error| error.reason());
    assert_eq!(reason(LocalFolder::open(&mirror, &marker("s"), true).await), Some("DESTINATION_MISSING"));
    std::fs::create_dir(&mirror).unwrap();
    assert_eq!(reason(LocalFolder::open(&mirror, &marker("s"), true).await), Some("DESTINATION_MISSING"));
}

#[tokio::test]
async fn somebody_elses_folder_is_refused_untouched() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    std::fs::write(mirror.join("mine"), b"x").unwrap();
    let reason = |result: Result<LocalFolder, DestinationError>| result.err().map(|error| error.reason());
    assert_eq!(reason(LocalFolder::open(&mirror, &marker("s"), false).await), Some("DESTINATION_NOT_EMPTY"));
    assert_eq!(std::fs::read_dir(&mirror).unwrap().count(), 1);
    std::fs::remove_file(mirror.join("mine")).unwrap();
    drop(LocalFolder::open(&mirror, &marker("s"), false).await.unwrap());
    assert_eq!(reason(LocalFolder::open(&mirror, &marker("t"), false).await), Some("DESTINATION_TAKEN"));
}

#[tokio::test]
async fn one_worker_at_a_time() {
    let (home, _folder) = opened().await;
    let second = LocalFolder::open(&home.path().join("mirror"), &marker("s"), true).await;
    assert!(matches!(second, Err(DestinationError::Busy { .. })));
}

#[tokio::test]
async fn after_a_flush_that_failed_nothing_counts_as_durable() {
    let (home, folder) = opened().await;
    folder.make_folder(&path("d")).await.unwrap();
    put(&folder, "d/a.txt", b"one").await.unwrap();
    let d = home.path().join("mirror/d");
    std::fs::remove_dir_all(&d).unwrap();
    std::fs::write(&d, b"a file in the way").unwrap();
    assert!(folder.flush().await.is_err());
    assert!(folder.flush().await.is_err(), "the second one has less to flush and knows less");
}

fn intent(at: &str, change: Change) -> Intent {
    Intent { item_id: at.into(), token: b"token".to_vec(), path: path(at), change }
}

#[tokio::test]
async fn the_journal_tells_what_was_made_of_what_was_announced() {
    let (home, folder) = opened().await;
    for name in ["from", "gone", "kept-from", "old"] {
        put(&folder, name, b"old").await.unwrap();
    }
    let mut hash = graph_client::quick_xor::QuickXor::new();
    hash.update(b"new");
    let content =
        Change::PutContent { size: 3, hash: Some(hash.base64()), modified: Some(1_700_000_000_000) };
    let announced = [
        intent("made", Change::MakeFolder),
        intent("to", Change::Move { from: path("from") }),
        intent("gone", Change::Delete),
        intent("new", content.clone()),
        intent("not-made", Change::MakeFolder),
        intent("not-to", Change::Move { from: path("kept-from") }),
        intent("old", content),
        intent("kept-from", Change::Delete),
    ];
    folder.announce(&announced).await.unwrap();
    folder.make_folder(&path("made")).await.unwrap();
    folder.relocate(&path("from"), &path("to")).await.unwrap();
    folder.delete_file(&path("gone")).await.unwrap();
    put(&folder, "new", b"new").await.unwrap();
    drop(folder);
    let folder = LocalFolder::open(&home.path().join("mirror"), &marker("s"), true).await.unwrap();
    assert_eq!(folder.made().await.unwrap(), announced[..4]);
    folder.announce(&[]).await.unwrap();
    assert_eq!(folder.made().await.unwrap(), []);
}
