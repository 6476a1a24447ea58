//! §5.2: upload sessions.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{DriveHandle, DriveKind, Endpoint, Fault, FaultKind, ViolationKind};

use crate::bench::{Answer, Bench};

/// The length of which chunks are multiples.
const ALIGNED: usize = 327_680;

struct Session<'a> {
    bench: &'a Bench,
    url: String,
    content: Vec<u8>,
}

impl Session<'_> {
    async fn put(&self, from: usize, to: usize) -> Answer {
        let body = self.content[from..to].to_vec();
        self.raw(&format!("bytes {from}-{}/{}", to - 1, self.content.len()), body).await
    }

    async fn raw(&self, range: &str, body: Vec<u8>) -> Answer {
        self.bench.send(self.bench.http.put(&self.url).header("Content-Range", range).body(body)).await
    }

    async fn status(&self) -> Answer {
        self.bench.send(self.bench.http.get(&self.url)).await
    }
}

async fn begin<'a>(bench: &'a Bench, token: &str, length: usize, body: &Value) -> Session<'a> {
    let begun = bench.call("POST", token, "me/drive/root:/a.bin:/createUploadSession", body).await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    assert_eq!(begun.body["nextExpectedRanges"], json!(["0-"]));
    let content = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
    Session { bench, url: begun.text("/uploadUrl").to_owned(), content }
}

fn ranges(answer: &Answer) -> Vec<&str> {
    answer.body["nextExpectedRanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| range.as_str().unwrap())
        .collect()
}

fn bytes_of(drive: &DriveHandle, path: &str) -> Vec<u8> {
    let reader = drive.content_reader(path).unwrap();
    let mut buffer = vec![0; usize::try_from(reader.size()).unwrap()];
    reader.read_at(0, &mut buffer);
    buffer
}

#[tokio::test]
async fn chunks_in_order_make_a_file_and_the_last_one_returns_it() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let item = json!({"item": {"fileSystemInfo": {"lastModifiedDateTime": "2020-01-02T03:04:05Z"}}});
    let session = begin(&bench, &token, ALIGNED + 1_000, &item).await;
    let first = session.put(0, ALIGNED).await;
    assert_eq!((first.status, ranges(&first)), (202, vec!["327680-"]));
    assert!(first.body["expirationDateTime"].is_string());
    assert!(drive.walk().is_empty());
    let last = session.put(ALIGNED, ALIGNED + 1_000).await;
    assert_eq!((last.status, last.text("/name")), (201, "a.bin"));
    assert_eq!(last.text("/fileSystemInfo/lastModifiedDateTime"), "2020-01-02T03:04:05Z");
    let entry = drive.lookup("/a.bin").unwrap();
    assert_eq!(last.text("/file/hashes/quickXorHash"), entry.quick_xor.unwrap());
    assert_eq!(bytes_of(&drive, "/a.bin"), session.content);
    assert_eq!(session.status().await.status, 404);
    let again = begin(&bench, &token, 10, &json!({})).await;
    assert_eq!(again.put(0, 10).await.status, 200);
    assert_eq!(bytes_of(&drive, "/a.bin"), again.content);
    assert!(bench.sim.violations().is_empty());
}

#[tokio::test]
async fn gaps_overlaps_and_wrong_lengths_are_refused_and_change_nothing() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 3 * ALIGNED, &json!({})).await;
    session.put(0, ALIGNED).await;
    let gap = session.put(2 * ALIGNED, 3 * ALIGNED).await;
    assert_eq!((gap.status, gap.text("/error/innerError/code")), (416, "fragmentOutOfOrder"));
    for to in [ALIGNED, 2 * ALIGNED] {
        let overlap = session.put(0, to).await;
        assert_eq!((overlap.status, overlap.text("/error/code")), (416, "invalidRange"));
        assert_eq!(overlap.text("/error/innerError/code"), "fragmentOverlap");
    }
    let total = format!("bytes {ALIGNED}-{}/{}", 2 * ALIGNED - 1, 4 * ALIGNED);
    assert_eq!(session.raw(&total, vec![0; ALIGNED]).await.status, 400);
    let range = format!("bytes {ALIGNED}-{}/{}", 2 * ALIGNED - 1, 3 * ALIGNED);
    let short = session.raw(&range, vec![0; 10]).await;
    assert_eq!((short.status, short.text("/error/innerError/code")), (400, "fragmentLengthMismatch"));
    assert_eq!(session.raw("nonsense", vec![0; 10]).await.status, 400);
    assert_eq!(ranges(&session.status().await), ["327680-"]);
    session.put(ALIGNED, 2 * ALIGNED).await;
    assert_eq!(session.put(2 * ALIGNED, 3 * ALIGNED).await.status, 201);
    assert_eq!(bytes_of(&drive, "/a.bin"), session.content);
}

#[tokio::test]
async fn a_status_may_list_several_ranges() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 20 * ALIGNED, &json!({})).await;
    assert_eq!(ranges(&session.status().await), ["0-"]);
    session.put(0, ALIGNED).await;
    let five = ALIGNED * 17;
    assert_eq!(ranges(&session.status().await), [format!("{ALIGNED}-{}", five - 1), format!("{five}-")]);
}

#[tokio::test]
async fn a_misaligned_chunk_is_noted_and_fails_at_the_end_only() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 2_000, &json!({})).await;
    assert_eq!(session.put(0, 1_000).await.status, 202);
    assert_eq!(session.put(1_000, 2_000).await.status, 400);
    assert!(drive.walk().is_empty());
    assert_eq!(bench.provoked(), [ViolationKind::MisalignedChunk]);
}

#[tokio::test]
async fn a_bearer_token_has_no_business_there() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 10, &json!({})).await;
    assert_eq!(bench.send(bench.http.get(&session.url).bearer_auth(&token)).await.status, 401);
    assert_eq!(bench.provoked(), [ViolationKind::BearerOnUploadUrl]);
}

#[tokio::test]
async fn a_session_can_be_cancelled() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 10, &json!({})).await;
    assert_eq!(bench.send(bench.http.delete(&session.url)).await.status, 204);
    let gone = session.put(0, 10).await;
    assert_eq!((gone.status, gone.text("/error/innerError/code")), (404, "uploadSessionNotFound"));
}

#[tokio::test]
async fn a_business_session_ends_a_quarter_of_an_hour_after_its_last_chunk_and_after_a_day_in_any_case() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, 200 * ALIGNED, &json!({})).await;
    for number in 0..96 {
        let chunk = session.put(number * ALIGNED, (number + 1) * ALIGNED).await;
        assert_eq!(chunk.status, 202, "chunk {number}: {}", chunk.body);
        bench.sim.clock().advance(Duration::from_mins(15) - Duration::from_millis(1));
    }
    assert_eq!(session.put(96 * ALIGNED, 97 * ALIGNED).await.status, 202);
    bench.sim.clock().advance(Duration::from_secs(1));
    let late = session.put(97 * ALIGNED, 98 * ALIGNED).await;
    assert_eq!((late.status, late.text("/error/innerError/code")), (401, "expiredToken"));
    let idle = begin(&bench, &bench.writer().await, 10, &json!({})).await;
    bench.sim.clock().advance(Duration::from_mins(15));
    assert_eq!(idle.put(0, 10).await.status, 404);
}

#[tokio::test]
async fn a_personal_session_lives_for_days() {
    let (bench, _, token) = Bench::writable(DriveKind::Personal).await;
    let session = begin(&bench, &token, 10, &json!({})).await;
    bench.sim.clock().advance(Duration::from_hours(48));
    assert_eq!(session.put(0, 10).await.status, 201);
}

#[tokio::test]
async fn an_empty_file_gets_no_session_and_one_beyond_the_quota_is_507() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let ask = async |size: u64| {
        let body = json!({"item": {"fileSize": size}});
        bench.call("POST", &token, "me/drive/root:/a:/createUploadSession", &body).await.status
    };
    bench.sim.switch(|switches| switches.graph.quota_bytes = 1_000);
    assert_eq!((ask(0).await, ask(1_001).await, ask(1_000).await), (400, 507, 200));
}

#[tokio::test]
async fn a_second_session_for_a_name_is_refused_when_switched_on() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    begin(&bench, &token, 10, &json!({})).await;
    begin(&bench, &token, 10, &json!({})).await;
    bench.sim.switch(|switches| switches.uploads.refuse_second_session = true);
    let second = bench.call("POST", &token, "me/drive/root:/A.BIN:/createUploadSession", &json!({})).await;
    assert_eq!((second.status, second.text("/error/code")), (409, "nameAlreadyExists"));
}

#[tokio::test]
async fn a_conflict_at_the_last_byte_leaves_the_session_to_be_committed_elsewhere() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let session =
        begin(&bench, &token, 10, &json!({"item": {"@microsoft.graph.conflictBehavior": "fail"}})).await;
    bench.put(&token, "me/drive/root:/a.bin:/content", b"other").await;
    let clash = session.put(0, 10).await;
    assert_eq!((clash.status, clash.text("/error/code")), (409, "nameAlreadyExists"));
    let body = json!({
        "name": "a.bin",
        "@microsoft.graph.conflictBehavior": "rename",
        "@microsoft.graph.sourceUrl": session.url,
    });
    let stored = bench.call("PUT", &token, "me/drive/root:/a.bin", &body).await;
    assert_eq!((stored.status, stored.text("/name")), (201, "a 1.bin"));
    assert_eq!(bytes_of(&drive, "/a 1.bin"), session.content);
    assert_eq!(bytes_of(&drive, "/a.bin"), b"other");
}

#[tokio::test]
async fn the_final_409_can_be_had_on_demand() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.faults().add(Fault::new(FaultKind::UploadFinal409).times(1));
    let session = begin(&bench, &token, 10, &json!({})).await;
    assert_eq!(session.put(0, 10).await.status, 409);
    assert!(drive.walk().is_empty());
}

#[tokio::test]
async fn a_deferred_content_is_stored_when_the_client_says_so() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let session = begin(&bench, &token, ALIGNED + 1, &json!({"deferCommit": true})).await;
    session.put(0, ALIGNED).await;
    assert_eq!(bench.send(bench.http.post(&session.url)).await.status, 400);
    let last = session.put(ALIGNED, ALIGNED + 1).await;
    assert_eq!((last.status, ranges(&last).len()), (202, 0));
    assert!(drive.walk().is_empty());
    assert_eq!(bench.send(bench.http.post(&session.url)).await.status, 201);
    assert_eq!(bytes_of(&drive, "/a.bin"), session.content);
}

#[tokio::test]
async fn the_last_answer_may_have_no_body_and_a_404_may_pass() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.uploads.final_empty_body = true);
    bench.sim.faults().add(Fault::new(FaultKind::Transient404).on(Endpoint::Fragment).times(1));
    let session = begin(&bench, &token, 10, &json!({})).await;
    assert_eq!(session.put(0, 10).await.status, 404);
    let last = session.put(0, 10).await;
    assert_eq!((last.status, last.body.as_str()), (201, Some("")));
    assert!(drive.lookup("/a.bin").is_some());
}

#[tokio::test]
async fn conditions_are_checked_when_a_session_begins() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.put(&token, "me/drive/root:/a.bin:/content", b"other").await;
    let address = bench.address("me/drive/root:/a.bin:/createUploadSession");
    for (name, value) in [("If-Match", "\"{other},1\""), ("If-None-Match", "*")] {
        let request = bench.http.post(&address).bearer_auth(&token).header(name, value).json(&json!({}));
        assert_eq!(bench.send(request).await.status, 412, "{name}");
    }
}
