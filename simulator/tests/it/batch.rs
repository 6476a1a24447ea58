//! §7.1: several requests in one.

use serde_json::{Value, json};
use simulator::{DriveKind, Endpoint, Fault, RetryAfter};

use crate::bench::{Answer, Bench};

async fn send(bench: &Bench, token: &str, requests: Value) -> Answer {
    bench.call("POST", token, "$batch", &json!({"requests": requests})).await
}

fn part<'a>(answer: &'a Answer, id: &str) -> &'a Value {
    let responses = answer.body["responses"].as_array().unwrap();
    responses.iter().find(|response| response["id"] == id).unwrap()
}

#[tokio::test]
async fn each_request_is_answered_by_itself() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let made = bench.put(&token, "me/drive/root:/a.txt:/content", b"1").await;
    let id = made.text("/id");
    let answer = send(
        &bench,
        &token,
        json!([
            {"id": "1", "method": "GET", "url": format!("/drives/{}/items/{id}?$select=id,name", drive.id())},
            {"id": "2", "method": "GET", "url": "/me/drive/root:/none"},
            {"id": "3", "method": "GET", "url": format!("me/drive/items/{id}/content")},
            {"id": "4", "method": "POST", "url": "/me/drive/root/children", "headers": {"Content-Type": "application/json"},
             "body": {"name": "f", "folder": {}}},
        ]),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&part(&answer, "1")["status"], &part(&answer, "1")["body"]["name"]),
        (&json!(200), &json!("a.txt"))
    );
    assert_eq!(part(&answer, "2")["body"]["error"]["code"], "itemNotFound");
    assert_eq!(part(&answer, "3")["status"], 302);
    assert!(part(&answer, "3")["headers"]["Location"].as_str().unwrap().contains("sim-dl-"));
    assert_eq!(part(&answer, "4")["status"], 201);
    assert!(drive.lookup("/f").is_some());
    assert_ne!(answer.body["responses"][0]["id"], "1", "the order is not promised");
}

#[tokio::test]
async fn what_depends_on_a_failure_is_424() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let answer = send(
        &bench,
        &token,
        json!([
            {"id": "1", "method": "GET", "url": "/me/drive/root:/none"},
            {"id": "2", "method": "POST", "url": "/me/drive/root/children", "dependsOn": ["1"], "body": {"name": "f", "folder": {}}},
        ]),
    )
    .await;
    assert_eq!(part(&answer, "2")["status"], 424);
    assert!(drive.walk().is_empty());
}

#[tokio::test]
async fn a_malformed_batch_is_400() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let one = |id: usize| json!({"id": id.to_string(), "method": "GET", "url": "/me/drive"});
    assert_eq!(send(&bench, &token, json!([one(1), one(1)])).await.status, 400);
    assert_eq!(send(&bench, &token, (0..21).map(one).collect()).await.status, 400);
    assert_eq!(send(&bench, &token, json!([])).await.status, 400);
    assert_eq!(send(&bench, &token, (0..20).map(one).collect()).await.status, 200);
    let nested = json!([{"id": "1", "method": "POST", "url": "/$batch"}]);
    assert_eq!(send(&bench, &token, nested).await.status, 400);
}

#[tokio::test]
async fn each_request_is_throttled_by_itself() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.faults().add(Fault::throttle(Endpoint::Item, 1, Some(RetryAfter::Seconds(120))));
    let requests = json!([
        {"id": "1", "method": "GET", "url": "/me/drive/root"},
        {"id": "2", "method": "GET", "url": "/me/drive"},
    ]);
    let answer = send(&bench, &token, requests).await;
    assert_eq!(part(&answer, "1")["status"], 429);
    assert_eq!(part(&answer, "1")["headers"]["Retry-After"], "120");
    assert_eq!(part(&answer, "1")["body"]["error"]["code"], "activityLimitReached");
    assert_eq!(part(&answer, "2")["status"], 200);
    bench.sim.clock().advance(std::time::Duration::from_secs(121));
    bench.sim.switch(|switches| switches.resource_units_per_minute = Some(1));
    let requests = json!([
        {"id": "1", "method": "GET", "url": "/me/drive"},
        {"id": "2", "method": "GET", "url": "/me/drive"},
    ]);
    let answer = send(&bench, &token, requests).await;
    assert_eq!((&part(&answer, "1")["status"], &part(&answer, "2")["status"]), (&json!(200), &json!(429)));
}
