//! §3, §5.1: folders, names, places, contents, copies, deletions.

use serde_json::json;
use simulator::{Change, DriveKind, Endpoint, Fault, FaultKind, PUBLIC_CLIENT_ID, ViolationKind};

use crate::bench::Bench;

const ROOT: &str = "me/drive/root";

fn children() -> String {
    format!("{ROOT}/children")
}

#[tokio::test]
async fn a_folder_is_made_and_told_by_the_feed() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let (_, link) = bench.drain(&token, "me/drive/root/delta").await;
    let made = bench.call("POST", &token, &children(), &json!({"name": "a", "folder": {}})).await;
    assert_eq!((made.status, made.text("/name")), (201, "a"));
    assert_eq!(drive.lookup("/a").unwrap().id, made.text("/id"));
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(pages[0].last().unwrap()["id"], made.body["id"]);
}

#[tokio::test]
async fn a_taken_name_fails_gives_way_or_is_kept_as_the_client_wants() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let make = async |behavior: &str| {
        let body = json!({"name": "A b", "folder": {}, "@microsoft.graph.conflictBehavior": behavior});
        bench.call("POST", &token, &children(), &body).await
    };
    let first = make("fail").await;
    let clash = make("fail").await;
    assert_eq!((clash.status, clash.text("/error/code")), (409, "nameAlreadyExists"));
    assert_eq!(make("rename").await.text("/name"), "A b 1");
    let kept = make("replace").await;
    assert_eq!((kept.status, &kept.body["id"]), (200, &first.body["id"]));
    assert_eq!(make("whatever").await.status, 400);
}

#[tokio::test]
async fn names_the_service_reserves_and_paths_that_are_too_long_are_400() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    for name in ["CON.txt", "a:b", "desktop.ini", "~$a", "x_vti_x", "a."] {
        let refused = bench.call("POST", &token, &children(), &json!({"name": name, "folder": {}})).await;
        assert_eq!((refused.status, refused.text("/error/code")), (400, "invalidRequest"), "{name}");
    }
    let name = "n".repeat(210);
    bench.call("POST", &token, &children(), &json!({"name": name, "folder": {}})).await;
    let below = format!("{ROOT}:/{name}:/children");
    let long = bench.call("POST", &token, &below, &json!({"name": name, "folder": {}})).await;
    assert_eq!((long.status, long.text("/error/innerError/code")), (400, "pathIsTooLong"));
}

#[tokio::test]
async fn a_token_that_may_only_read_writes_nothing() {
    let (bench, drive, _) = Bench::writable(DriveKind::Business).await;
    let reader = bench.token().await;
    let refused = bench.call("POST", &reader, &children(), &json!({"name": "a", "folder": {}})).await;
    assert_eq!((refused.status, refused.text("/error/code")), (403, "accessDenied"));
    assert_eq!(bench.put(&reader, &format!("{ROOT}:/a.txt:/content"), b"x").await.status, 403);
    assert!(drive.walk().is_empty());
}

#[tokio::test]
async fn rename_and_move_keep_the_id_and_change_the_etag() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
    let path = format!("me/drive/items/{id}");
    let before = bench.get(&token, &path).await;
    let folder = drive.lookup("/f").unwrap().id;
    let body = json!({"name": "b", "parentReference": {"id": folder}});
    let after = bench.call("PATCH", &token, &path, &body).await;
    assert_eq!((after.status, after.text("/id"), after.text("/name")), (200, id.as_str(), "b"));
    assert_ne!(after.body["eTag"], before.body["eTag"]);
    assert_eq!(after.body["cTag"], before.body["cTag"]);
    assert_eq!(drive.lookup("/f/b").unwrap().id, id);
    let by_path = json!({"parentReference": {"path": "/drive/root:"}, "name": "c d"});
    assert_eq!(bench.call("PATCH", &token, &path, &by_path).await.status, 200);
    assert_eq!(drive.lookup("/c d").unwrap().id, id);
}

#[tokio::test]
async fn moving_into_another_drive_is_refused() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
    let other = bench.sim.create_drive(&crate::bench::plain(0, 0)).unwrap();
    let body = json!({"parentReference": {"driveId": other.id(), "id": "root"}});
    assert_eq!(bench.call("PATCH", &token, &format!("me/drive/items/{id}"), &body).await.status, 400);
}

#[tokio::test]
async fn times_of_a_client_are_kept_and_told() {
    for (kind, told) in
        [(DriveKind::Business, "2020-02-03T04:05:06Z"), (DriveKind::Personal, "2020-02-03T04:05:06.789Z")]
    {
        let (bench, drive, token) = Bench::writable(kind).await;
        let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
        let body = json!({"fileSystemInfo": {"lastModifiedDateTime": "2020-02-03T04:05:06.789Z"}});
        let after = bench.call("PATCH", &token, &format!("me/drive/items/{id}"), &body).await;
        assert_eq!(after.text("/fileSystemInfo/lastModifiedDateTime"), told);
        let wrong = json!({"fileSystemInfo": {"lastModifiedDateTime": "yesterday"}});
        assert_eq!(bench.call("PATCH", &token, &format!("me/drive/items/{id}"), &wrong).await.status, 400);
    }
}

#[tokio::test]
async fn a_write_to_another_version_than_the_client_knows_is_412() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
    let address = bench.address(&format!("me/drive/items/{id}"));
    let known = bench.get(&token, &address).await.text("/eTag").to_owned();
    drive.apply(&Change::Edit { item: id.clone(), size: None }).unwrap();
    let delete = || bench.http.delete(&address).bearer_auth(&token);
    let refused = bench.send(delete().header("If-Match", &known)).await;
    assert_eq!((refused.status, refused.text("/error/code")), (412, "resourceModified"));
    let content = format!("{address}/content");
    let put = bench.http.put(content).bearer_auth(&token).header("If-Match", &known).body("x");
    assert_eq!(bench.send(put).await.status, 412);
    let known = bench.get(&token, &address).await.text("/eTag").to_owned();
    assert_eq!(bench.send(delete().header("If-Match", &known)).await.status, 204);
    assert_eq!(bench.get(&token, &address).await.status, 404);
}

#[tokio::test]
async fn a_small_upload_is_kept_and_read_back() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let path = format!("{ROOT}:/caf%C3%A9%20%231.txt:/content");
    let made = bench.put(&token, &path, b"first").await;
    assert_eq!((made.status, made.text("/name")), (201, "caf\u{e9} #1.txt"));
    let mut hash = simulator::QuickXor::default();
    hash.update(b"first");
    assert_eq!(made.text("/file/hashes/quickXorHash"), hash.to_base64());
    let id = made.text("/id").to_owned();
    assert_eq!(bench.content(&token, &id).await, b"first");
    let replaced = bench.put(&token, &path, b"second!").await;
    assert_eq!((replaced.status, replaced.text("/id")), (200, id.as_str()));
    assert_ne!(replaced.body["cTag"], made.body["cTag"]);
    assert_eq!(bench.content(&token, &id).await, b"second!");
    assert_eq!(drive.total_bytes(), 7);
    let mut buffer = [0; 9];
    assert_eq!(drive.content_reader(&id).unwrap().read_at(3, &mut buffer), 4);
    assert_eq!(&buffer[..4], b"ond!");
    assert_eq!(bench.put(&token, &format!("me/drive/items/{id}/content"), b"").await.body["size"], 0);
    assert_eq!(bench.sim.counters().bytes_received, 12);
}

#[tokio::test]
async fn an_upload_of_a_taken_name_replaces_unless_told_otherwise() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let put = async |behavior: &str, content: &[u8]| {
        let path = format!("{ROOT}:/a.txt:/content?@microsoft.graph.conflictBehavior={behavior}");
        bench.put(&token, &path, content).await
    };
    assert_eq!(put("replace", b"1").await.status, 201);
    assert_eq!(put("fail", b"22").await.status, 409);
    let renamed = put("rename", b"333").await;
    assert_eq!((renamed.status, renamed.text("/name")), (201, "a 1.txt"));
    let missing = bench.put(&token, &format!("{ROOT}:/none/a.txt:/content"), b"1").await;
    assert_eq!((missing.status, missing.text("/error/code")), (404, "itemNotFound"));
}

#[tokio::test]
async fn a_simple_upload_beyond_250_mb_is_413() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let request = bench.http.put(bench.address(&format!("{ROOT}:/a:/content"))).bearer_auth(&token);
    let refused = bench.send(request.header("Content-Length", "250000001").body("x")).await;
    assert_eq!(refused.status, 413);
    assert!(drive.walk().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_into_the_quota_is_507() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.graph.quota_bytes = 10);
    assert_eq!(bench.put(&token, &format!("{ROOT}:/a:/content"), b"12345678").await.status, 201);
    let full = bench.put(&token, &format!("{ROOT}:/b:/content"), b"123").await;
    assert_eq!((full.status, full.text("/error/code")), (507, "quotaLimitReached"));
    assert_eq!(bench.put(&token, &format!("{ROOT}:/a:/content"), b"1234567890").await.status, 200);
    assert_eq!(bench.get(&token, "me/drive").await.body["quota"]["remaining"], 0);
}

#[tokio::test]
async fn a_copy_is_followed_by_its_monitor() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
    drive.apply(&Change::CreateFile { parent: "/f".into(), name: "a".into(), size: 30 }).unwrap();
    bench.sim.switch(|switches| switches.graph.copy_seconds = 4);
    let source = drive.lookup("/f").unwrap().id;
    let path = format!("me/drive/items/{source}/copy");
    let begun = bench.call("POST", &token, &path, &json!({"name": "g"})).await;
    assert_eq!(begun.status, 202);
    let monitor = begun.header("location").unwrap().to_owned();
    let poll = async || bench.send(bench.http.get(&monitor)).await;
    bench.sim.clock().advance(std::time::Duration::from_secs(1));
    let running = poll().await;
    assert_eq!((running.status, running.text("/status")), (202, "inProgress"));
    assert_eq!(running.body["percentageComplete"], 25.0);
    bench.sim.clock().advance(std::time::Duration::from_secs(3));
    let done = poll().await;
    assert_eq!((done.status, done.text("/status")), (200, "completed"));
    assert_eq!(done.text("/resourceId"), drive.lookup("/g").unwrap().id);
    assert_eq!(drive.lookup("/g/a").unwrap().quick_xor, drive.lookup("/f/a").unwrap().quick_xor);
    assert!(bench.sim.violations().is_empty());
    let again = bench.call("POST", &token, &path, &json!({"name": "g"})).await;
    bench.sim.clock().advance(std::time::Duration::from_secs(9));
    let failed = bench.send(bench.http.get(again.header("location").unwrap())).await;
    assert_eq!((failed.text("/status"), failed.text("/error/code")), ("failed", "nameAlreadyExists"));
}

#[tokio::test]
async fn the_critic_notes_a_monitor_polled_too_fast_or_with_a_bearer_token() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
    bench.sim.switch(|switches| switches.graph.copy_seconds = 60);
    let path = format!("me/drive/items/{id}/copy");
    let begun = bench.call("POST", &token, &path, &json!({"name": "b"})).await;
    let monitor = begun.header("location").unwrap().to_owned();
    for _ in 0..2 {
        bench.send(bench.http.get(&monitor)).await;
    }
    assert_eq!(bench.send(bench.http.get(&monitor).bearer_auth(&token)).await.status, 401);
    assert_eq!(bench.provoked(), [ViolationKind::PolledTooFast, ViolationKind::BearerOnUploadUrl]);
}

#[tokio::test]
async fn permanent_deletion_is_for_business_drives_only() {
    for (kind, status) in [(DriveKind::Business, 204), (DriveKind::Personal, 405)] {
        let (bench, drive, token) = Bench::writable(kind).await;
        let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
        let path = format!("me/drive/items/{id}/permanentDelete");
        assert_eq!(bench.call("POST", &token, &path, &json!({})).await.status, status);
        assert_eq!(drive.lookup("/a").is_none(), status == 204);
    }
}

#[tokio::test]
async fn what_is_new_is_hard_to_find_for_a_while() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.graph.visibility_lag_milliseconds = 500);
    let made = bench.put(&token, &format!("{ROOT}:/a:/content"), b"1").await;
    let (by_id, by_path) = (format!("me/drive/items/{}", made.text("/id")), format!("{ROOT}:/a"));
    for path in [&by_id, &by_path] {
        assert_eq!(bench.get(&token, path).await.status, 404);
    }
    let (pages, _) = bench.drain(&token, "me/drive/root/delta").await;
    assert_eq!(pages[0].last().unwrap()["id"], made.body["id"]);
    bench.sim.clock().advance(std::time::Duration::from_millis(501));
    for path in [&by_id, &by_path] {
        assert_eq!(bench.get(&token, path).await.status, 200);
    }
}

#[tokio::test]
async fn a_new_folder_may_be_answered_without_a_body() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.graph.mkdir_empty_body = true);
    let made = bench.call("POST", &token, &children(), &json!({"name": "a", "folder": {}})).await;
    assert_eq!((made.status, made.body.as_str()), (201, Some("")));
    assert!(drive.lookup("/a").is_some());
}

#[tokio::test]
async fn what_is_locked_is_423() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 3 }).unwrap();
    let path = format!("me/drive/items/{id}");
    bench.sim.faults().add(Fault::new(FaultKind::Locked).times(1));
    let locked = bench.call("PATCH", &token, &path, &json!({"name": "b"})).await;
    assert_eq!((locked.status, locked.text("/error/code")), (423, "resourceLocked"));
    bench.sim.faults().add(Fault::new(FaultKind::SiteLocked).on(Endpoint::Item).times(1));
    let site = bench.get(&token, &path).await;
    assert_eq!((site.status, site.text("/error/code")), (423, "notAllowed"));
    assert_eq!(site.text("/error/innerError/code"), "resourceLocked");
}

#[tokio::test]
async fn sharepoint_rewrites_some_files_and_no_two_attempts_agree() {
    let (bench, drive, token) = Bench::writable(DriveKind::DocumentLibrary).await;
    bench.sim.switch(|switches| switches.graph.enriched_name_ends = vec![".docx".into()]);
    let path = format!("drives/{}/root", drive.id());
    let first = bench.put(&token, &format!("{path}:/a.docx:/content"), b"12345").await;
    assert!(first.body["size"].as_u64().unwrap() > 5, "{}", first.body);
    let second = bench.put(&token, &format!("{path}:/a.docx:/content"), b"12345").await;
    assert_ne!(first.body["size"], second.body["size"]);
    assert_eq!(bench.put(&token, &format!("{path}:/a.sealed:/content"), b"12345").await.body["size"], 5);
}

#[tokio::test]
async fn the_critic_notes_a_write_by_a_mirror() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.graph.mirror_clients = vec![PUBLIC_CLIENT_ID.into()]);
    bench.get(&token, ROOT).await;
    assert!(bench.sim.violations().is_empty());
    bench.put(&token, &format!("{ROOT}:/a:/content"), b"1").await;
    assert_eq!(bench.provoked(), [ViolationKind::WriteByMirror]);
}
