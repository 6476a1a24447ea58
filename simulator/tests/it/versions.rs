//! §3, §12: versions of files.

use serde_json::json;
use simulator::DriveKind;

use crate::bench::{Bench, is_redirect};

#[tokio::test]
async fn section_3_every_content_is_a_version_that_can_be_read_and_deleted() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let made = bench.put(&token, "me/drive/root:/a:/content", b"one").await;
    bench.put(&token, "me/drive/root:/a:/content", b"second").await;
    let id = made.text("/id").to_owned();
    drive.apply(&simulator::Change::Edit { item: id.clone(), size: Some(9) }).unwrap();
    let versions = format!("me/drive/items/{id}/versions");
    let listed = bench.get(&token, &versions).await;
    let told: Vec<_> =
        listed.body["value"].as_array().unwrap().iter().map(|one| (&one["id"], &one["size"])).collect();
    assert_eq!(json!(told), json!([["3.0", 9], ["2.0", 6], ["1.0", 3]]));
    assert!(listed.body["value"][0].get("file").is_none(), "versions have no hashes (§1.4)");
    let content = async |version: &str| {
        let way = bench.get(&token, &format!("{versions}/{version}/content")).await;
        assert!(is_redirect(way.status));
        let link = way.header("location").unwrap().to_owned();
        bench.http.get(link).send().await.unwrap().bytes().await.unwrap().to_vec()
    };
    assert_eq!(content("1.0").await, b"one");
    assert_eq!(content("2.0").await, b"second");
    assert_eq!(content("3.0").await, bench.content(&token, &id).await);
    let delete = async |version: &str| {
        bench.call("DELETE", &token, &format!("{versions}/{version}"), &json!({})).await.status
    };
    assert_eq!([delete("1.0").await, delete("1.0").await, delete("3.0").await], [204, 404, 400]);
    assert_eq!(bench.get(&token, &versions).await.body["value"].as_array().unwrap().len(), 2);
    assert_eq!(bench.get(&token, &format!("{versions}/7.0/content")).await.status, 404);
    assert_eq!(bench.get(&token, "me/drive/root/versions").await.status, 400);
}

#[tokio::test]
async fn section_12_versions_of_personal_drives_stay() {
    let (bench, _, token) = Bench::writable(DriveKind::Personal).await;
    let made = bench.put(&token, "me/drive/root:/a:/content", b"one").await;
    bench.put(&token, "me/drive/root:/a:/content", b"two").await;
    let version = format!("me/drive/items/{}/versions/1.0", made.text("/id"));
    assert_eq!(bench.call("DELETE", &token, &version, &json!({})).await.status, 405);
}

#[tokio::test]
async fn section_5_3_another_time_makes_a_version_except_on_personal_drives() {
    for (kind, versions) in [
        (DriveKind::Business, json!(["3.0", "2.0", "1.0"])),
        (DriveKind::DocumentLibrary, json!(["3.0", "2.0", "1.0"])),
        (DriveKind::Personal, json!(["2.0", "1.0"])),
    ] {
        let (bench, drive, token) = Bench::writable(kind).await;
        let base = format!("drives/{}", drive.id());
        let made = bench.put(&token, &format!("{base}/root:/a:/content"), b"one").await;
        let item = format!("{base}/items/{}", made.text("/id"));
        let times = json!({"fileSystemInfo": {"lastModifiedDateTime": "2020-01-02T03:04:05Z"}});
        let dated = bench.call("PATCH", &token, &item, &times).await;
        assert_eq!((dated.status, &dated.body["cTag"]), (200, &made.body["cTag"]));
        bench.put(&token, &format!("{base}/root:/a:/content"), b"second").await;
        let listed = bench.get(&token, &format!("{item}/versions")).await;
        let told: Vec<_> = listed.body["value"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(json!(told), versions, "{kind:?}");
        let old = told[1].as_str().unwrap();
        let way = bench.get(&token, &format!("{item}/versions/{old}/content")).await;
        let content = bench.http.get(way.header("location").unwrap()).send().await.unwrap();
        assert_eq!(content.bytes().await.unwrap(), "one", "{kind:?} {old}");
    }
}
