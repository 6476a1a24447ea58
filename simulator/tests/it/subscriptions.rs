//! §8: subscriptions, told to a receiver that runs in the test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use simulator::{Change, DriveKind, Fault, FaultKind};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::bench::{Answer, Bench};

/// Longest wait for a notification.
const LIMIT: Duration = Duration::from_secs(20);

/// Somebody who is told about changes.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    received: Arc<Mutex<Vec<Value>>>,
    arrived: Arc<Notify>,
    /// What the next notifications are answered with; 202 when there is nothing.
    answers: Arc<Mutex<VecDeque<u16>>>,
    /// Whether the handshake is answered wrongly.
    rude: bool,
    /// Ends with the test.
    servers: Arc<Mutex<JoinSet<()>>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handshake {
    validation_token: Option<String>,
}

async fn receive(
    State(receiver): State<Receiver>,
    Query(asked): Query<Handshake>,
    body: String,
) -> (StatusCode, String) {
    if let Some(token) = asked.validation_token {
        return (StatusCode::OK, if receiver.rude { "<b>hello</b>".to_owned() } else { token });
    }
    receiver.received.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    receiver.arrived.notify_one();
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(202);
    (StatusCode::from_u16(status).unwrap(), String::new())
}

impl Receiver {
    pub(crate) async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/{*any}", post(receive)).with_state(self.clone());
        self.servers.lock().unwrap().spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/hook")
    }

    /// Waits until so many notifications have come.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Value> {
        let all = async {
            loop {
                let received = self.received.lock().unwrap().clone();
                if received.len() >= count {
                    return received;
                }
                self.arrived.notified().await;
            }
        };
        tokio::time::timeout(LIMIT, all).await.expect("the notification did not come")
    }
}

async fn subscribe(bench: &Bench, token: &str, url: &str, resource: &str, expires: &str) -> Answer {
    let body = json!({
        "changeType": "updated", "notificationUrl": url, "resource": resource,
        "expirationDateTime": expires, "clientState": "a secret of the client",
        "lifecycleNotificationUrl": format!("{url}/life"),
    });
    bench.call("POST", token, "subscriptions", &body).await
}

/// A day after the time at which the clock of the bench stands.
const TOMORROW: &str = "2027-01-16T08:00:00Z";

fn change(bench: &Bench, name: &str) {
    let create = Change::CreateFile { parent: "/".into(), name: name.into(), size: 3 };
    bench.sim.drives()[0].apply(&create).unwrap();
}

#[tokio::test]
async fn a_subscriber_proves_its_address_and_is_told_that_something_changed() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    let resource = format!("/drives/{}/root", drive.id());
    let made = subscribe(&bench, &token, &url, &resource, TOMORROW).await;
    assert_eq!(made.status, 201, "{}", made.body);
    change(&bench, "a");
    let told = receiver.wait(1).await[0]["value"][0].clone();
    assert_eq!(told["subscriptionId"], made.body["id"]);
    assert_eq!(told["clientState"], "a secret of the client");
    assert_eq!(told["resource"], resource.trim_start_matches('/'));
    assert_eq!(told["changeType"], "updated");
    assert_eq!(told["resourceData"]["@odata.type"], "#Microsoft.Graph.DriveItem");
    assert!(told["tenantId"].is_string() && told["subscriptionExpirationDateTime"] == TOMORROW);
    bench.put(&token, "me/drive/root:/b:/content", b"1").await;
    assert_eq!(receiver.wait(2).await.len(), 2);
}

#[tokio::test]
async fn an_address_that_does_not_prove_itself_is_400() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let rude = Receiver { rude: true, ..Receiver::default() };
    let refused = subscribe(&bench, &token, &rude.listen().await, "me/drive/root", TOMORROW).await;
    assert_eq!((refused.status, refused.text("/error/code")), (400, "ValidationError"));
    let nobody = subscribe(&bench, &token, "http://127.0.0.1:9/x", "me/drive/root", TOMORROW).await;
    assert_eq!(nobody.status, 400);
    assert_eq!(subscribe(&bench, &token, "ftp://x", "me/drive/root", TOMORROW).await.status, 400);
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let url = Receiver::default().listen().await;
    let folder = drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
    let below = format!("me/drive/items/{folder}");
    for (resource, expires) in [
        ("me/drive/root", "2027-02-14T08:00:00Z"),
        ("me/drive/root", "2027-01-15T07:00:00Z"),
        (below.as_str(), TOMORROW),
        ("planets", TOMORROW),
    ] {
        assert_eq!(
            subscribe(&bench, &token, &url, resource, expires).await.status,
            400,
            "{resource} {expires}"
        );
    }
    let body = json!({"changeType": "created", "notificationUrl": url, "resource": "me/drive/root", "expirationDateTime": TOMORROW});
    assert_eq!(bench.call("POST", &token, "subscriptions", &body).await.status, 400);
}

#[tokio::test]
async fn the_same_subscription_twice_is_409_with_the_id_of_the_first() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let url = Receiver::default().listen().await;
    let first = subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    let second = subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    assert_eq!((second.status, second.text("/error/code")), (409, "ObjectIdentifierInUse"));
    assert!(second.text("/error/message").contains(first.text("/id")));
}

#[tokio::test]
async fn a_subscription_is_renewed_ends_and_is_removed() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    let made = subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    let path = format!("subscriptions/{}", made.text("/id"));
    let later = json!({"expirationDateTime": "2027-01-20T08:00:00Z"});
    assert_eq!(
        bench.call("PATCH", &token, &path, &later).await.text("/expirationDateTime"),
        "2027-01-20T08:00:00Z"
    );
    assert_eq!(bench.call("POST", &token, &format!("{path}/reauthorize"), &json!({})).await.status, 204);
    assert_eq!(bench.get(&token, "subscriptions").await.body["value"].as_array().unwrap().len(), 1);
    let other = subscribe(&bench, &token, &format!("{url}/2"), "me/drive/root", TOMORROW).await;
    let other = format!("subscriptions/{}", other.text("/id"));
    assert_eq!(bench.call("DELETE", &token, &other, &json!({})).await.status, 204);
    assert_eq!(bench.get(&token, &other).await.status, 404);
    bench.sim.clock().advance(Duration::from_hours(6 * 24));
    let token = bench.writer().await;
    assert_eq!(bench.call("PATCH", &token, &path, &later).await.status, 404);
}

#[tokio::test]
async fn notifications_to_one_address_go_together_and_may_come_twice_or_never() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let second = bench.sim.create_drive(&crate::bench::plain(0, 0)).unwrap();
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    bench.sim.switch(|switches| {
        switches.subscriptions.delay_milliseconds = 200;
        switches.subscriptions.copies = 2;
    });
    subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    subscribe(&bench, &token, &url, &format!("drives/{}/root", second.id()), TOMORROW).await;
    bench.sim.faults().add(Fault::new(FaultKind::NotificationMissing).times(2));
    change(&bench, "lost");
    second.apply(&Change::Mkdir { parent: "/".into(), name: "lost".into() }).unwrap();
    while bench.sim.faults().list()[0].struck < 2 {
        tokio::task::yield_now().await;
    }
    change(&bench, "a");
    second.apply(&Change::Mkdir { parent: "/".into(), name: "a".into() }).unwrap();
    let told = receiver.wait(2).await;
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0]["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_notification_that_is_refused_is_sent_again() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    receiver.answers.lock().unwrap().push_back(503);
    change(&bench, "a");
    let told = receiver.wait(2).await;
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn lifecycle_notifications_go_to_their_own_address() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    let made = subscribe(&bench, &token, &url, "me/drive/root", TOMORROW).await;
    bench.sim.send_lifecycle(made.text("/id"), "reauthorizationRequired").await.unwrap();
    let told = receiver.wait(1).await[0]["value"][0].clone();
    assert_eq!(told["lifecycleEvent"], "reauthorizationRequired");
    assert_eq!(told["subscriptionId"], made.body["id"]);
    assert!(bench.sim.send_lifecycle("nothing", "reauthorizationRequired").await.is_err());
}
