//! `sluice up` as a process: what it leaves on disk, and how it ends.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::world::{Up, up, world};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_disk_is_for_its_owner_alone() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("nested/data");
    let _up = Up::start(&simulator, &data);
    assert_eq!(mode(&data), 0o700);
    for file in ["token.db", "sync.db", "keyring.toml", "lock"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_in_good_order_and_it_starts_again() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("data");
    let keyring = data.join("keyring.toml");

    let first = Up::start(&simulator, &data);
    assert_eq!(first.call(&["status"]).code, 0);
    let made = fs::read(&keyring).unwrap();
    let (code, log) = first.terminate().await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("the workers have stopped") && log.contains("the services have stopped"), "{log}");

    let second = Up::start(&simulator, &data);
    assert_eq!(second.call(&["status"]).code, 0);
    assert_eq!(fs::read(&keyring).unwrap(), made, "the keyring was made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_on_the_same_folder_is_refused() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("data");
    let _first = Up::start(&simulator, &data);
    let second = up(&simulator, &data).output().unwrap();
    assert_eq!(second.status.code(), Some(78));
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert!(stderr.contains("another `sluice up` uses") && stderr.lines().count() == 1, "{stderr}");
}
