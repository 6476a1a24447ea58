//! §1.5, §3, §12: what is deleted goes to the recycle bin, counts to the quota, and comes back.

use serde_json::json;
use simulator::{DriveKind, DriveSpec};

use crate::bench::{Bench, plain};

const BIN: &str = "me/drive/special/recyclebin/children";

#[tokio::test]
async fn section_3_a_deleted_folder_is_listed_and_comes_back_with_what_was_in_it() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let made = bench.put(&token, "me/drive/root:/a/b.txt:/content", b"").await;
    assert_eq!(made.status, 404, "a parent that does not exist is not made");
    let folder =
        bench.call("POST", &token, "me/drive/root/children", &json!({"name": "a", "folder": {}})).await;
    bench.put(&token, "me/drive/root:/a/b.txt:/content", b"12345").await;
    let before = drive.walk();
    let id = folder.text("/id");
    assert_eq!(bench.call("DELETE", &token, &format!("me/drive/items/{id}"), &json!({})).await.status, 204);
    assert!(drive.walk().is_empty());
    let quota = bench.get(&token, "me/drive").await.body["quota"].clone();
    assert_eq!((&quota["used"], &quota["deleted"]), (&0.into(), &5.into()));
    let binned = bench.get(&token, BIN).await;
    assert_eq!((binned.text("/value/0/id"), binned.text("/value/0/name")), (id, "a"));
    assert_eq!(binned.body["value"].as_array().unwrap().len(), 1);
    let restored = bench.call("POST", &token, &format!("me/drive/items/{id}/restore"), &json!({})).await;
    assert_eq!((restored.status, restored.text("/name")), (200, "a"), "{}", restored.body);
    assert_eq!(drive.walk(), before);
    assert_eq!(bench.content(&token, &before[1].id).await, b"12345");
    assert_eq!(bench.get(&token, BIN).await.body["value"], json!([]));
    let (pages, _) = bench.drain(&token, "me/drive/root/delta").await;
    assert_eq!(pages[0].len(), 3);
}

#[tokio::test]
async fn section_3_a_name_that_was_taken_meanwhile_is_409_and_another_name_is_taken() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let first = bench.put(&token, "me/drive/root:/a:/content", b"first").await;
    let path = format!("me/drive/items/{}", first.text("/id"));
    bench.call("DELETE", &token, &path, &json!({})).await;
    bench.put(&token, "me/drive/root:/a:/content", b"second").await;
    let restore = format!("{path}/restore");
    assert_eq!(bench.call("POST", &token, &restore, &json!({})).await.status, 409);
    let renamed = bench.call("POST", &token, &restore, &json!({"name": "b"})).await;
    assert_eq!((renamed.status, renamed.text("/name")), (200, "b"));
    assert_eq!(drive.item_count(), 2);
    assert_eq!(bench.call("POST", &token, &restore, &json!({})).await.status, 404);
}

#[tokio::test]
async fn section_3_what_is_deleted_for_good_is_not_in_the_bin_and_leaves_it() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    for deleted_before in [false, true] {
        let made = bench.put(&token, "me/drive/root:/a:/content", b"1").await;
        let path = format!("me/drive/items/{}", made.text("/id"));
        if deleted_before {
            bench.call("DELETE", &token, &path, &json!({})).await;
        }
        let gone = bench.call("POST", &token, &format!("{path}/permanentDelete"), &json!({})).await;
        assert_eq!(gone.status, 204);
        assert_eq!(bench.get(&token, BIN).await.body["value"], json!([]));
        assert_eq!(bench.call("POST", &token, &format!("{path}/restore"), &json!({})).await.status, 404);
    }
}

#[tokio::test]
async fn section_12_a_personal_drive_lists_no_bin() {
    let (bench, _, token) = Bench::with_drive(&DriveSpec { kind: DriveKind::Personal, ..plain(0, 0) }).await;
    assert_eq!(bench.get(&token, BIN).await.status, 400);
}
