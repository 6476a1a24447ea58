//! Answers that no honest provider gives: refused, bounded in memory, and the refresh token goes nowhere else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use service_kit::status::status_reason;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tonic::Code;

use crate::world::{World, import};

/// Much more than the service reads.
const HUGE_BYTES: usize = 64 << 20;

/// Something that gives every request the same answer.
pub(crate) struct Impostor {
    pub(crate) address: String,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Impostor {
    async fn new(head: String, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 16 * 1024];
                if stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                // Whoever had enough hangs up.
                if stream.write_all(head.as_bytes()).await.is_ok() {
                    drop(stream.write_all(&body).await);
                }
            }
        });
        Self { address, requests, _serving: serving }
    }

    pub(crate) async fn answering(status: &str, headers: &str, body: Vec<u8>) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        Self::new(head, body).await
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// What importing a refresh token leads to where the provider answers like this.
async fn import_at(impostor: &Impostor) -> tonic::Status {
    let world = World::new().await;
    let mut config = world.config();
    config.provider.authority = impostor.address.parse().unwrap();
    let mut service = world.start_with(config).await.unwrap();
    let request = import("mail", "canary-refresh-token".to_owned());
    let status = service.connections.create_connection(request).await.unwrap_err();
    assert!(!format!("{status:?}").contains("canary"), "{status:?}");
    service.stop().await;
    status
}

async fn is_no_answer(status: &str, headers: &str, body: Vec<u8>) {
    let impostor = Impostor::answering(status, headers, body).await;
    let answer = import_at(&impostor).await;
    assert_eq!(
        (answer.code(), status_reason(&answer).as_deref()),
        (Code::Unavailable, Some("PROVIDER_UNAVAILABLE"))
    );
    assert!(impostor.requests() <= 2);
}

#[tokio::test]
async fn a_huge_body_is_not_read_to_its_end() {
    let mut body = br#"{"access_token":"a","refresh_token":"b","padding":""#.to_vec();
    body.resize(HUGE_BYTES, b'x');
    is_no_answer("200 OK", "content-type: application/json\r\n", body).await;
}

#[tokio::test]
async fn a_page_and_wrong_types_are_no_tokens() {
    let bodies = [
        "<html><body>Sign in to the hotel's network</body></html>",
        r#"{"access_token":7,"refresh_token":"b"}"#,
        r#"{"access_token":["a"],"expires_in":{}}"#,
        r#"{"access_token":"""#,
        "[]",
        "null",
    ];
    for body in bodies {
        is_no_answer("200 OK", "content-type: text/html\r\n", body.as_bytes().to_vec()).await;
    }
}

#[tokio::test]
async fn an_error_page_is_no_proof_against_the_token_or_the_app() {
    is_no_answer("403 Forbidden", "", b"<html>blocked by the proxy: invalid_grant</html>".to_vec()).await;
    is_no_answer("400 Bad Request", "", br#"{"error":{"code":"invalid_grant"}}"#.to_vec()).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let thief = Impostor::answering("200 OK", "", br#"{"access_token":"a"}"#.to_vec()).await;
    for status in ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        is_no_answer(status, &format!("location: {}/steal\r\n", thief.address), Vec::new()).await;
    }
    assert_eq!(thief.requests(), 0, "the refresh token was sent elsewhere");
}
