//! §4: contents and the links to them.

use simulator::{Change, DriveHandle, QuickXor, ViolationKind};

use crate::bench::{Answer, Bench, is_redirect, plain};

const SIZE: u64 = 200_003;

async fn one_file() -> (Bench, DriveHandle, String, String) {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id =
        drive.apply(&Change::CreateFile { parent: "/".into(), name: "a.bin".into(), size: SIZE }).unwrap();
    (bench, drive, token, id)
}

async fn link(bench: &Bench, token: &str, id: &str) -> String {
    let answer = bench.get(token, &format!("me/drive/items/{id}/content")).await;
    assert!(is_redirect(answer.status), "{}", answer.body);
    answer.header("location").unwrap().to_owned()
}

async fn range(bench: &Bench, link: &str, range: &str) -> (Answer, Vec<u8>) {
    let response = bench.http.get(link).header("Range", range).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap().to_vec();
    (Answer { status, headers, body: serde_json::Value::Null }, bytes)
}

fn whole(drive: &DriveHandle, id: &str) -> Vec<u8> {
    let content = drive.content_reader(id).unwrap();
    let mut bytes = vec![0; usize::try_from(content.size()).unwrap()];
    assert_eq!(content.read_at(0, &mut bytes), bytes.len());
    bytes
}

#[tokio::test]
async fn content_redirects_to_a_link_that_needs_no_token() {
    let (bench, drive, token, id) = one_file().await;
    let link = link(&bench, &token, &id).await;
    assert!(link.contains("sim-dl-"));
    let response = bench.http.get(&link).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(SIZE));
    assert_eq!(response.headers()["accept-ranges"], "bytes");
    let bytes = response.bytes().await.unwrap();
    assert_eq!(bytes, whole(&drive, &id));
    let mut hash = QuickXor::default();
    hash.update(&bytes);
    assert_eq!(Some(hash.to_base64()), drive.lookup(&id).unwrap().quick_xor);
    assert_eq!(bench.sim.counters().bytes_served, SIZE);
    assert_eq!(bench.sim.counters().graph_requests, 1);
}

/// The real service has its downloads on another host, so that a client which follows redirects leaves the token behind.
#[tokio::test]
async fn a_client_that_follows_the_redirect_does_not_carry_the_token_along() {
    let (bench, drive, token, id) = one_file().await;
    let follower = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = bench.address(&format!("me/drive/items/{id}/content"));
    let response = follower.get(address).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap(), whole(&drive, &id));
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn the_link_in_an_item_serves_the_same_bytes() {
    let (bench, drive, token, id) = one_file().await;
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let bytes = bench
        .http
        .get(item.text("/@microsoft.graph.downloadUrl"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(bytes, whole(&drive, &id));
}

#[tokio::test]
async fn an_empty_file_has_an_empty_body() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "e".into(), size: 0 }).unwrap();
    let response = bench.http.get(link(&bench, &token, &id).await).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(0)));
}

#[tokio::test]
async fn section_4_3_ranges() {
    let (bench, drive, token, id) = one_file().await;
    let link = link(&bench, &token, &id).await;
    let all = whole(&drive, &id);
    for (asked, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=65533-131075", 65_533, 131_076),
        ("bytes=199999-", 199_999, 200_003),
        ("bytes=-5", 199_998, 200_003),
    ] {
        let (answer, bytes) = range(&bench, &link, asked).await;
        assert_eq!(answer.status, 206, "{asked}");
        assert_eq!(answer.header("content-range"), Some(format!("bytes {from}-{}/{SIZE}", to - 1).as_str()));
        assert_eq!(bytes, all[from..to], "{asked}");
    }
    let (beyond, _) = range(&bench, &link, "bytes=200003-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */200003")));
}

#[tokio::test]
async fn section_4_2_a_link_expires() {
    let (bench, _, token, id) = one_file().await;
    bench.sim.switch(|switches| switches.download_link_seconds = 60);
    let link = link(&bench, &token, &id).await;
    bench.sim.clock().advance(std::time::Duration::from_mins(1));
    let answer = bench.send(bench.http.get(link)).await;
    assert_eq!((answer.status, answer.text("/error/code")), (401, "unauthenticated"));
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn section_4_1_a_bearer_token_on_a_link_is_401_and_a_violation() {
    let (bench, _, token, id) = one_file().await;
    let link = link(&bench, &token, &id).await;
    assert_eq!(bench.send(bench.http.get(&link).bearer_auth(&token)).await.status, 401);
    let violations = bench.sim.take_violations();
    assert_eq!(violations[0].kind, ViolationKind::BearerOnDownloadLink);
    assert!(!violations[0].detail.contains("sim-"));
}

#[tokio::test]
async fn an_edited_link_is_401_and_a_violation() {
    let (bench, _, token, id) = one_file().await;
    let mut link = link(&bench, &token, &id).await;
    let last = if link.ends_with('A') { 'B' } else { 'A' };
    link.insert(link.len() - 8, last);
    assert_eq!(bench.send(bench.http.get(&link)).await.status, 401);
    assert_eq!(bench.provoked(), [ViolationKind::EditedLink]);
}

#[tokio::test]
async fn section_4_4_a_link_of_a_deleted_item_is_404_and_one_of_an_edited_item_serves_the_new_content() {
    let (bench, drive, token, id) = one_file().await;
    let link = link(&bench, &token, &id).await;
    drive.apply(&Change::Edit { item: id.clone(), size: Some(77) }).unwrap();
    let bytes = bench.http.get(&link).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, whole(&drive, &id));
    drive.apply(&Change::Delete { item: id }).unwrap();
    assert_eq!(bench.send(bench.http.get(&link)).await.status, 404);
}

#[tokio::test]
async fn a_folder_has_no_content() {
    let (bench, _, token) = Bench::with_drive(&plain(0, 0)).await;
    assert_eq!(bench.get(&token, "me/drive/root/content").await.status, 400);
}

#[tokio::test]
async fn a_known_content_is_304() {
    let (bench, _, token, id) = one_file().await;
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let request = bench.http.get(bench.address(&format!("me/drive/items/{id}/content"))).bearer_auth(&token);
    assert_eq!(bench.send(request.header("If-None-Match", item.text("/cTag"))).await.status, 304);
}
