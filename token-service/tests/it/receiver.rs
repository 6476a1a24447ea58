//! A webhook receiver: verifies what it gets as docs/WEBHOOKS.md tells receivers to, and fails when told to.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

/// Base64 of the secret that endpoints of tests share.
const SECRET: &str = "c2x1aWNlLXdlYmhvb2stdGVzdC1zZWNyZXQh";

/// How a receiver answers one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// Never.
    Silence,
    RedirectTo(String),
}

/// A message that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) body: Value,
}

impl Received {
    /// `connection.active mail`, say.
    pub(crate) fn told(&self) -> String {
        let connection = self.body["data"]["connection"].as_str().unwrap();
        let id = connection.rsplit('/').next().unwrap();
        format!("{} {id}", self.body["type"].as_str().unwrap())
    }
}

#[derive(Default)]
struct Shared {
    /// Answers to the next requests; then 204.
    answers: VecDeque<Answer>,
    /// Requests about this connection are refused.
    refused: Option<String>,
    attempts: Vec<Received>,
    accepted: Vec<Received>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    pub(crate) async fn start_on(address: &str) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/hooks?key=canary-in-url", listener.local_addr().unwrap());
        let routes = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared, _serving: serving }
    }

    /// Answers to the next requests.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().unwrap().answers.extend(answers);
    }

    /// Refuses whatever is about this connection.
    pub(crate) fn refuse(&self, connection: Option<&str>) {
        self.shared.lock().unwrap().refused = connection.map(str::to_owned);
    }

    pub(crate) fn accepted(&self) -> Vec<Received> {
        self.shared.lock().unwrap().accepted.clone()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.accepted().iter().map(Received::told).collect()
    }

    pub(crate) fn attempts(&self) -> Vec<Received> {
        self.shared.lock().unwrap().attempts.clone()
    }
}

async fn receive(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    let received = verify(&headers, &body);
    let answer = {
        let mut shared = shared.lock().unwrap();
        shared.attempts.push(received.clone());
        let is_refused =
            shared.refused.as_ref().is_some_and(|id| received.told().ends_with(&format!(" {id}")));
        let answer = if is_refused {
            Answer::Status(400)
        } else {
            shared.answers.pop_front().unwrap_or(Answer::Status(204))
        };
        if matches!(answer, Answer::Status(200..300)) {
            shared.accepted.push(received);
        }
        answer
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Silence => std::future::pending().await,
        Answer::RedirectTo(url) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, url)]).into_response(),
    }
}

/// What docs/WEBHOOKS.md says, but for the age of the time stamp: tests move the clock.
fn verify(headers: &HeaderMap, body: &[u8]) -> Received {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET).unwrap());
    let signatures = header("webhook-signature");
    let is_ours = signatures.split(' ').any(|signature| {
        let (version, encoded) = signature.split_once(',').unwrap();
        version == "v1" && hmac::verify(&key, &signed, &STANDARD.decode(encoded).unwrap()).is_ok()
    });
    assert!(is_ours, "the signature is wrong");
    let text = std::str::from_utf8(body).unwrap();
    for canary in ["sim-at-", "sim-rt-", "sim-dc-"] {
        assert!(!text.contains(canary), "a secret was told");
    }
    Received { id, timestamp: timestamp.parse().unwrap(), body: serde_json::from_str(text).unwrap() }
}

/// Writes a webhook file for one endpoint and gives its path.
pub(crate) fn write_file(folder: &Path, url: &str) -> PathBuf {
    std::fs::write(folder.join("webhook.secret"), format!("whsec_{SECRET}\n")).unwrap();
    let path = folder.join("webhooks.toml");
    let text = format!("[[endpoints]]\nid = \"test\"\nurl = \"{url}\"\nsecret_file = \"webhook.secret\"\n");
    std::fs::write(&path, text).unwrap();
    path
}

/// Longer than any wait between attempts.
pub(crate) const LONG_WAIT: Duration = Duration::from_mins(12);
