//! Room on the file system.

use super::*;

#[tokio::test]
async fn the_bin_makes_way_before_a_file_does_not_fit() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    let folder = LocalFolder::open(&mirror, &marker("s"), false, options(&clock(), Duration::from_hours(48)))
        .await
        .unwrap();
    let file = put(&folder, "a.txt", b"one").await.unwrap();
    folder.delete_file(&path("a.txt"), &file).await.unwrap();
    let day = mirror.join(".sluice/bin/2026-11-21");
    let room = folder.take_room(1).await.unwrap();
    assert!(day.exists(), "not needed");
    assert!(matches!(folder.take_room(u64::MAX).await, Err(DestinationError::Full { .. })));
    assert!(!day.exists());
    drop(room);
    assert_eq!(folder.inner.room_taken.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_is_in_the_bin_is_counted() {
    let home = TempDir::new().unwrap();
    let mirror = home.path().join("mirror");
    let keeps_deleted = options(&clock(), Duration::from_hours(48));
    let folder = LocalFolder::open(&mirror, &marker("s"), false, keeps_deleted).await.unwrap();
    let onlooker = Onlooker::open(mirror, marker("s"), true).await.unwrap().unwrap();
    let mut before = 0;
    assert_eq!(onlooker.bin_bytes().await.unwrap(), before);
    for name in ["a.txt", "d/b.txt"] {
        if let Some((folder_name, _)) = name.split_once('/') {
            folder.make_folder(&path(folder_name)).await.unwrap();
        }
        let file = put(&folder, name, &[7; 10_000]).await.unwrap();
        folder.delete_file(&path(name), &file).await.unwrap();
        let bytes = onlooker.bin_bytes().await.unwrap();
        assert!(bytes > before, "{name}");
        before = bytes;
    }
    let space = onlooker.free_space(u64::MAX).await.unwrap();
    assert_eq!((space.left(), space.free > 0, space.block > 0), (0, true, true));
    let new = Onlooker::free_space_for_new(home.path().join("not/there/yet"), 0).await.unwrap();
    assert!(new.fits(1), "{new:?}");
}
