//! Canaries: no token, link or text of an answer in an error or a log line.

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use graph_client::{ByteSpan, GraphClient, GraphError};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{Reply, Server, item, json, link, page, raw, reply};

const CANARY: &str = "canary";

/// Everything an error could print.
fn printed(error: &GraphError) -> String {
    let mut texts = vec![format!("{error} {error:?} {}", error.reason())];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(format!("{error} {error:?}"));
        source = error.source();
    }
    texts.join(" ")
}

#[tokio::test]
async fn errors_hold_no_secret_and_no_text_from_outside() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let body = r#"{"error":{"code":"accessDenied","message":"canary https://x/?canary"}}"#;
    for reply in [
        json(403, body),
        json(404, body),
        json(410, body),
        json(500, body),
        json(401, body),
        reply(429, &[("retry-after", "900")], body),
        reply(302, &[("location", "https://canary.test/")], body),
        reply(200, &[("content-type", "text/canary")], "canary"),
        json(200, "{\"id\": canary}"),
        json(200, r#"{"value":[],"@odata.nextLink":"https://canary.test/"}"#),
        Reply::Close(raw("canary")),
        Reply::Close(raw("HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 99\n\ncanary")),
    ] {
        let server = Server::start([reply]).await;
        let mut config = server.config();
        config.retries.max_retries = 0;
        config.base = format!("{}/canary", server.address).parse().unwrap();
        let client = GraphClient::new(&config).unwrap();
        let error = page(&client).await.unwrap_err();
        let text = printed(&error);
        assert!(!text.contains(CANARY) && !text.contains("token-"), "{text}");
    }
    for reply in
        [reply(403, &[], "canary"), Reply::Close(Vec::new()), reply(206, &[("content-range", "canary")], "")]
    {
        let server = Server::start([]).await;
        let mut config = server.config();
        config.retries.max_retries = 0;
        let client = GraphClient::new(&config).unwrap();
        let link = link(&server, &client, "/canary?tempauth=canary").await;
        server.then(reply);
        let error = client.download(&link, ByteSpan::From(1)).await.unwrap_err();
        assert!(!printed(&error).contains(CANARY), "{}", printed(&error));
    }
    drop(item(&Server::start([json(200, r#"{"id":"canary"}"#)]).await.client()).await.unwrap());

    let logged = lines.text();
    assert!(logged.contains("answer from Graph"), "the client does log: {logged}");
    assert!(!logged.contains(CANARY) && !logged.contains("token-"), "{logged}");
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
