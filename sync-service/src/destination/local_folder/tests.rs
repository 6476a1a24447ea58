//! A real folder, real files.

mod room;

use std::os::unix::fs::symlink;

use bytes::Bytes;
use tempfile::TempDir;

use service_kit::clock::ManualClock;

use super::*;
use crate::destination::{Placed, Placement};

fn marker(source: &str) -> Marker {
    Marker { source: source.into(), source_create_time: "2026-01-01T00:00:00Z".into() }
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

/// When everything happens, and how it is written in names.
const NOW: Timestamp = Timestamp::from_millis(1_795_262_400_000);
const STAMP: &str = "2026-11-21 12-00-00";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

fn options(clock: &Arc<ManualClock>, bin_retention: Duration) -> LocalFolderOptions {
    LocalFolderOptions { clock: Arc::<ManualClock>::clone(clock), bin_retention, reserve: 0 }
}

async fn open(mirror: &Path, source: &str, filled: bool) -> Result<LocalFolder, DestinationError> {
    LocalFolder::open(mirror, &marker(source), filled, options(&clock(), Duration::ZERO)).await
}

async fn opened() -> (TempDir, LocalFolder) {
    let home = TempDir::new().unwrap();
    let folder = open(&home.path().join("mirror"), "s", false).await.unwrap();
    (home, folder)
}

fn hash(content: &[u8]) -> String {
    let mut hash = graph_client::quick_xor::QuickXor::new();
    hash.update(content);
    hash.base64()
}

/// Puts a file in place, instead of the one expected. Gives what the destination has now.
async fn put_over(
    folder: &LocalFolder,
    at: &str,
    content: &'static [u8],
    expected: Option<&Baseline>,
) -> Result<Placed, DestinationError> {
    let mut file = folder.begin_file().await?;
    file.write(Bytes::from_static(content)).await?;
    let placement = Placement {
        modified: Some(Timestamp::from_millis(1_700_000_000_000)),
        hash: hash(content),
        expected: expected.cloned(),
        deletes_replaced: false,
    };
    file.finish(&path(at), placement).await
}

async fn put(folder: &LocalFolder, at: &str, content: &'static [u8]) -> Result<Baseline, DestinationError> {
    put_over(folder, at, content, None).await.map(|placed| placed.file)
}

async fn relocate(folder: &LocalFolder, from: &str, to: &str) -> Result<Vec<Kept>, DestinationError> {
    folder.relocate(&path(from), &path(to), None).await
}

fn kept_as(kept: &[Kept]) -> Vec<(&'static str, String)> {
    kept.iter().map(|kept| (kept.reason(), kept.path.join("/"))).collect()
}

fn read(home: &TempDir, at: &str) -> Vec<u8> {
    std::fs::read(home.path().join("mirror").join(at)).unwrap()
}

fn write(home: &TempDir, at: &str, content: &[u8]) {
    std::fs::write(home.path().join("mirror").join(at), content).unwrap();
}

fn temporary_files(home: &TempDir) -> usize {
    std::fs::read_dir(home.path().join("mirror/.sluice/tmp")).unwrap().count()
}

#[tokio::test]
async fn a_file_appears_whole_and_with_its_time() {
    let (home, folder) = opened().await;
    let one = put(&folder, "a.txt", b"one").await.unwrap();
    let two = put_over(&folder, "a.txt", b"two", Some(&one)).await.unwrap();
    assert_eq!(two.kept, []);
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
    let _folder = open(&home.path().join("mirror"), "s", true).await.unwrap();
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn moving_never_replaces_and_may_be_done_twice() {
    let (home, folder) = opened().await;
    put(&folder, "a", b"a").await.unwrap();
    write(&home, "b", b"b");
    let kept = relocate(&folder, "a", "b").await.unwrap();
    assert_eq!(kept_as(&kept), [("LOCAL_FILE_KEPT", format!("b (local copy {STAMP})"))]);
    assert_eq!((read(&home, "b"), read(&home, &kept[0].path[0])), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!(relocate(&folder, "a", "b").await.unwrap(), []);
    assert!(matches!(relocate(&folder, "x", "y").await, Err(DestinationError::Missing { .. })));
    folder.flush().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_somebodys_file_is_not_deleted() {
    let (home, folder) = opened().await;
    folder.make_folder(&path("d")).await.unwrap();
    folder.make_folder(&path("d")).await.unwrap();
    write(&home, "d/mine", b"x");
    let kept = folder.delete_folder(&path("d")).await.unwrap();
    assert_eq!(kept_as(&kept), [("FOLDER_KEPT", "d".to_owned())]);
    assert_eq!(read(&home, "d/mine"), b"x");
    std::fs::remove_file(home.path().join("mirror/d/mine")).unwrap();
    assert_eq!(folder.delete_folder(&path("d")).await.unwrap(), []);
    assert_eq!(folder.delete_folder(&path("d")).await.unwrap(), []);
    folder.flush().await.unwrap();
}

#[tokio::test]
async fn a_set_aside_folder_with_somebodys_file_comes_back_to_light() {
    let (home, folder) = opened().await;
    folder.make_folder(&path("d")).await.unwrap();
    write(&home, "d/mine", b"x");
    relocate(&folder, "d", ".sluice/staging/id~d").await.unwrap();
    let kept = folder.delete_folder(&path(".sluice/staging/id~d")).await.unwrap();
    assert_eq!(kept_as(&kept), [("FOLDER_KEPT", format!("d (local copy {STAMP})"))]);
    assert_eq!(read(&home, &format!("d (local copy {STAMP})/mine")), b"x");
}

#[tokio::test]
async fn what_was_put_where_a_folder_was_does_not_stay_out_of_sight() {
    let (home, folder) = opened().await;
    let mirror = home.path().join("mirror");
    for (name, staged) in [("a", ".sluice/staging/id~a"), ("b", ".sluice/staging/id~b")] {
        if name == "a" {
            std::fs::write(mirror.join(name), "mine").unwrap();
        } else {
            symlink(home.path(), mirror.join(name)).unwrap();
        }
        relocate(&folder, name, staged).await.unwrap();
        let kept = folder.delete_folder(&path(staged)).await.unwrap();
        assert_eq!(kept_as(&kept), [("LOCAL_FILE_KEPT", format!("{name} (local copy {STAMP})"))]);
        assert!(std::fs::symlink_metadata(mirror.join(&kept[0].path[0])).is_ok());
        assert_eq!(folder.delete_folder(&path(staged)).await.unwrap(), [], "done twice");
        assert!(!folder.inner.exists(Path::new(staged)).unwrap());
    }
}

#[tokio::test]
async fn a_changed_file_is_set_aside_whatever_is_to_be_done_with_it() {
    let (home, folder) = opened().await;
    let mut copies = Vec::new();
    for (index, name) in ["put.txt", "delete.txt", "time.txt", "stage.txt"].into_iter().enumerate() {
        let file = put(&folder, name, b"old").await.unwrap();
        write(&home, name, b"mine, and longer");
        let at = path(name);
        let kept = match index {
            0 => put_over(&folder, name, b"new", Some(&file)).await.unwrap().kept,
            1 => folder.delete_file(&at, &file).await.unwrap(),
            _ => {
                let staged = path(".sluice/staging/id~x");
                let refused = match index {
                    2 => folder.set_modified(&at, NOW, &file).await.map(|_| ()),
                    _ => folder.relocate(&at, &staged, Some(&file)).await.map(|_| ()),
                };
                let Err(DestinationError::SetAside { kept, .. }) = refused else { panic!("{refused:?}") };
                vec![kept]
            }
        };
        let stem = name.strip_suffix(".txt").unwrap();
        assert_eq!(kept_as(&kept), [("LOCAL_EDIT_KEPT", format!("{stem} (local copy {STAMP}).txt"))]);
        copies.push(kept[0].path[0].clone());
    }
    assert_eq!(read(&home, "put.txt"), b"new");
    for copy in copies {
        assert_eq!(read(&home, &copy), b"mine, and longer");
    }
    for gone in ["delete.txt", "time.txt", "stage.txt"] {
        assert!(!home.path().join("mirror").join(gone).exists(), "{gone}");
    }
}

#[tokio::test]
async fn a_touched_file_that_is_the_same_is_no_edit() {
    let (home, folder) = opened().await;
    let file = put(&folder, "a.txt", b"old").await.unwrap();
    write(&home, "a.txt", b"old");
    let placed = put_over(&folder, "a.txt", b"new", Some(&file)).await.unwrap();
    assert_eq!(placed.kept, []);
    write(&home, "a.txt", b"new");
    assert_eq!(folder.delete_file(&path("a.txt"), &placed.file).await.unwrap(), []);
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn an_edit_of_the_same_size_is_noticed() {
    let (home, folder) = opened().await;
    let file = put(&folder, "a.txt", b"old").await.unwrap();
    write(&home, "a.txt", b"OLD");
    let kept = folder.delete_file(&path("a.txt"), &file).await.unwrap();
    assert_eq!(kept_as(&kept), [("LOCAL_EDIT_KEPT", format!("a (local copy {STAMP}).txt"))]);
}

#[tokio::test]
async fn a_strangers_file_gives_way_unless_it_has_the_same_content() {
    let (home, folder) = opened().await;
    write(&home, "same.txt", b"new");
    write(&home, "other.txt", b"mine");
    symlink("other.txt", home.path().join("mirror/link.txt")).unwrap();
    assert_eq!(put_over(&folder, "same.txt", b"new", None).await.unwrap().kept, []);
    for name in ["other", "link"] {
        let kept = put_over(&folder, &format!("{name}.txt"), b"new", None).await.unwrap().kept;
        assert_eq!(kept_as(&kept), [("LOCAL_FILE_KEPT", format!("{name} (local copy {STAMP}).txt"))]);
        assert_eq!(read(&home, &format!("{name}.txt")), b"new");
    }
    assert_eq!(read(&home, &format!("other (local copy {STAMP}).txt")), b"mine");
    let kept = folder.make_folder(&path("other.txt")).await.unwrap();
    assert_eq!(kept_as(&kept), [("LOCAL_FILE_KEPT", format!("other (local copy {STAMP} 2).txt"))]);
}

#[tokio::test]
async fn deleted_files_lie_in_the_bin_for_their_days() {
    let home = TempDir::new().unwrap();
    let (clock, days) = (clock(), Duration::from_hours(24));
    let mirror = home.path().join("mirror");
    let folder = LocalFolder::open(&mirror, &marker("s"), false, options(&clock, days * 2)).await.unwrap();
    folder.make_folder(&path("d")).await.unwrap();
    for (at, content) in
        [("d/a.txt", &b"one"[..]), ("d/a.txt", b"two"), (".sluice/staging/id~b.txt", b"three")]
    {
        let file = put(&folder, at, content).await.unwrap();
        assert_eq!(folder.delete_file(&path(at), &file).await.unwrap(), []);
    }
    folder.flush().await.unwrap();
    let bin = mirror.join(".sluice/bin/2026-11-21");
    for (at, content) in [("d/a.txt", "one"), ("d/a (2).txt", "two"), ("b.txt", "three")] {
        assert_eq!(std::fs::read_to_string(bin.join(at)).unwrap(), content);
    }
    clock.advance(days * 2);
    folder.tidy().await.unwrap();
    assert!(bin.exists());
    clock.advance(days);
    folder.tidy().await.unwrap();
    assert!(!bin.exists());
}

#[tokio::test]
async fn a_worker_that_lost_the_folder_never_places_its_successors_half_written_file() {
    let (home, folder) = opened().await;
    let mut late = folder.begin_file().await.unwrap();
    late.write(Bytes::from_static(b"late")).await.unwrap();
    // As on a file system whose locks do not reach from one machine to another.
    std::fs::remove_file(home.path().join("mirror/.sluice/lock")).unwrap();
    let successor = open(&home.path().join("mirror"), "s", true).await.unwrap();
    let mut file = successor.begin_file().await.unwrap();
    file.write(Bytes::from_static(b"ha")).await.unwrap();
    assert!(late.finish(&path("a"), Placement::default()).await.is_err());
    assert!(!home.path().join("mirror/a").exists());
    file.write(Bytes::from_static(b"lf")).await.unwrap();
    file.finish(&path("a"), Placement::default()).await.unwrap();
    assert_eq!(read(&home, "a"), b"half");
}

#[tokio::test]
async fn paths_longer_than_the_system_takes_at_once_work_too() {
    let (home, folder) = opened().await;
    let mut deep = Vec::new();
    for _ in 0..30 {
        deep.push("d".repeat(250));
        folder.make_folder(&deep).await.unwrap();
    }
    let (from, to) = (format!("{}/a.txt", deep.join("/")), format!("{}/b.txt", deep.join("/")));
    let file = put(&folder, &from, b"deep").await.unwrap();
    relocate(&folder, &from, &to).await.unwrap();
    folder.set_modified(&path(&to), NOW, &file).await.unwrap();
    folder.flush().await.unwrap();
    let file = Baseline { modified: Some(NOW), ..file };
    assert_eq!(folder.delete_file(&path(&to), &file).await.unwrap(), []);
    while !deep.is_empty() {
        assert_eq!(folder.delete_folder(&deep).await.unwrap(), []);
        deep.pop();
    }
    assert_eq!(temporary_files(&home), 0);
}

#[tokio::test]
async fn composed_and_decomposed_letters_are_two_names() {
    let (home, folder) = opened().await;
    put(&folder, "\u{e9}", b"composed").await.unwrap();
    put(&folder, "e\u{301}", b"decomposed").await.unwrap();
    assert_eq!(
        (read(&home, "\u{e9}"), read(&home, "e\u{301}")),
        (b"composed".to_vec(), b"decomposed".to_vec())
    );
}

#[tokio::test]
async fn a_file_in_the_bin_where_a_folder_is_needed_does_no_harm() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    let days = Duration::from_hours(48);
    let folder = LocalFolder::open(&mirror, &marker("s"), false, options(&clock(), days)).await.unwrap();
    let file = put(&folder, "d", b"one").await.unwrap();
    folder.delete_file(&path("d"), &file).await.unwrap();
    folder.make_folder(&path("d")).await.unwrap();
    let file = put(&folder, "d/a.txt", b"two").await.unwrap();
    folder.delete_file(&path("d/a.txt"), &file).await.unwrap();
    let bin = mirror.join(".sluice/bin/2026-11-21");
    assert_eq!(std::fs::read(bin.join("a.txt")).unwrap(), b"two");
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
    let kept = Baseline { hash: Some(hash(b"x")), ..Baseline::default() };
    folder.delete_file(&path("link/kept"), &kept).await.unwrap();
    assert!(relocate(&folder, "link/kept", "stolen").await.is_err());
    assert!(folder.set_modified(&path("link/kept"), NOW, &kept).await.is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn a_link_into_sluices_own_folder_is_not_followed() {
    let (home, folder) = opened().await;
    symlink(".sluice", home.path().join("mirror/link")).unwrap();
    assert!(matches!(
        put(&folder, "link/source.json", b"x").await,
        Err(DestinationError::ParentMissing { .. })
    ));
    drop(folder);
    open(&home.path().join("mirror"), "s", true).await.unwrap();
}

#[tokio::test]
async fn sluices_own_folder_is_never_a_link_to_somebody_elses() {
    let (home, folder) = opened().await;
    drop(folder);
    let mirror = home.path().join("mirror");
    std::fs::create_dir(mirror.join("d")).unwrap();
    write(&home, "d/mine", b"x");
    std::fs::remove_dir(mirror.join(".sluice/tmp")).unwrap();
    symlink("../d", mirror.join(".sluice/tmp")).unwrap();
    assert!(open(&mirror, "s", true).await.is_err());
    assert_eq!(read(&home, "d/mine"), b"x");
}

#[tokio::test]
async fn a_mirror_that_was_filled_and_is_gone_is_an_error() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    let reason = |result: Result<LocalFolder, DestinationError>| result.err().map(|error| error.reason());
    assert_eq!(reason(open(&mirror, "s", true).await), Some("DESTINATION_MISSING"));
    std::fs::create_dir(&mirror).unwrap();
    assert_eq!(reason(open(&mirror, "s", true).await), Some("DESTINATION_MISSING"));
}

#[tokio::test]
async fn somebody_elses_folder_is_refused_untouched() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    std::fs::write(mirror.join("mine"), b"x").unwrap();
    let reason = |result: Result<LocalFolder, DestinationError>| result.err().map(|error| error.reason());
    assert_eq!(reason(open(&mirror, "s", false).await), Some("DESTINATION_NOT_EMPTY"));
    assert_eq!(std::fs::read_dir(&mirror).unwrap().count(), 1);
    std::fs::remove_file(mirror.join("mine")).unwrap();
    drop(open(&mirror, "s", false).await.unwrap());
    assert_eq!(reason(open(&mirror, "t", false).await), Some("DESTINATION_TAKEN"));
}

#[tokio::test(start_paused = true)]
async fn one_worker_at_a_time() {
    let (home, _folder) = opened().await;
    let second = open(&home.path().join("mirror"), "s", true).await;
    assert!(matches!(second, Err(DestinationError::Busy { .. })));
}

#[tokio::test]
async fn a_folder_is_waited_for_until_the_last_write_of_a_run_that_was_cut_is_through() {
    let (home, folder) = opened().await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let started = Arc::new(tokio::sync::Notify::new());
    let last_write = {
        let (folder, started) = (folder.clone(), Arc::clone(&started));
        async move {
            let operation = move |_: &Inner, _: &Path| {
                started.notify_one();
                wait.recv().map_err(io::Error::other)
            };
            folder.run("write", &[], operation).await
        }
    };
    tokio::select! {
        _ = last_write => panic!("nobody let it go on"),
        () = started.notified() => {}
    }
    drop(folder);
    let mirror = home.path().join("mirror");
    let at_once = open::open(&mirror, &marker("s"), true, options(&clock(), Duration::ZERO));
    assert!(matches!(at_once, Err(DestinationError::Busy { .. })));
    let (next, ()) = tokio::join!(open(&mirror, "s", true), async { go_on.send(()).unwrap() });
    next.unwrap();
}

#[tokio::test]
async fn after_a_flush_that_failed_nothing_counts_as_durable() {
    let (_home, folder) = opened().await;
    // A name that no file system has.
    folder.inner.touch(&PathBuf::from("n".repeat(300)).join("a.txt"));
    assert!(folder.flush().await.is_err());
    assert!(folder.flush().await.is_err(), "the second one has less to flush and knows less");
}

fn intent(at: &str, change: Change) -> Intent {
    Intent { item_id: at.into(), token: b"token".to_vec(), path: path(at), change }
}

#[tokio::test]
async fn the_journal_tells_what_was_made_of_what_was_announced() {
    let (home, folder) = opened().await;
    let mut old = Baseline::default();
    for name in ["from", "gone", "kept-from", "old", "old.docx"] {
        old = put(&folder, name, b"old").await.unwrap();
    }
    let content = |hash| Change::PutContent {
        size: 3,
        hash,
        modified: Some(1_700_000_000_000),
        expected: Some(old.clone()),
    };
    let announced = [
        intent("made", Change::MakeFolder),
        intent("to", Change::Move { from: path("from") }),
        intent("gone", Change::Delete),
        intent("new", content(Some(hash(b"new")))),
        intent("not-made", Change::MakeFolder),
        intent("not-to", Change::Move { from: path("kept-from") }),
        intent("old", content(Some(hash(b"new")))),
        intent("old.docx", content(None)),
        intent("kept-from", Change::Delete),
    ];
    folder.announce(&announced).await.unwrap();
    folder.make_folder(&path("made")).await.unwrap();
    relocate(&folder, "from", "to").await.unwrap();
    folder.delete_file(&path("gone"), &old).await.unwrap();
    let new = put(&folder, "new", b"new").await.unwrap();
    drop(folder);
    let folder = open(&home.path().join("mirror"), "s", true).await.unwrap();
    let made = folder.made().await.unwrap();
    assert_eq!(made.iter().map(|made| made.intent.clone()).collect::<Vec<_>>(), announced[..4]);
    assert_eq!(made[3].file, Some(new));
    folder.announce(&[]).await.unwrap();
    assert_eq!(folder.made().await.unwrap(), []);
}
