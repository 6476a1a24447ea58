//! What is tried again, how often, and what all calls wait for.

use std::time::Duration;

use graph_client::{GraphClient, GraphError, Retry};
use tokio::time::Instant;

use crate::server::{Reply, Server, item, json, page, raw, reply};

const ITEM: &str = r#"{"id":"1"}"#;

#[tokio::test]
async fn failures_of_the_service_are_tried_again() {
    for status in [408, 500, 502, 503, 504] {
        let server = Server::start([reply(status, &[], "<html>busy</html>"), json(200, ITEM)]).await;
        let client = server.client();
        assert!(item(&client).await.is_ok(), "{status}");
        assert_eq!(client.requests_sent(), 2, "{status}");
    }
}

#[tokio::test]
async fn broken_connections_are_tried_again() {
    let head = "HTTP/1.1 200 OK\ncontent-type: application/json\n";
    for broken in [
        String::new(),
        "HTTP/1.1 200".to_owned(),
        "this is not HTTP\n\n".to_owned(),
        format!("{head}content-length: 100\n\n{{\"id\":"),
        format!("{head}transfer-encoding: chunked\n\n5\n{{\"id\""),
    ] {
        let server = Server::start([Reply::Close(raw(&broken)), json(200, ITEM)]).await;
        let client = server.client();
        assert!(item(&client).await.is_ok(), "{broken:?}");
        assert_eq!(client.requests_sent(), 2, "{broken:?}");
    }
}

#[tokio::test]
async fn stalled_answers_are_tried_again() {
    let head = raw("HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 100\n\n{");
    let server = Server::start([Reply::Stall(Vec::new()), Reply::Stall(head), json(200, ITEM)]).await;
    let mut config = server.config();
    config.timeouts.header = Duration::from_millis(300);
    config.timeouts.idle = Duration::from_millis(300);
    let client = GraphClient::new(&config).unwrap();
    assert!(item(&client).await.is_ok());
    assert_eq!(client.requests_sent(), 3);
}

#[tokio::test]
async fn a_trickle_does_not_hold_a_call_for_ever() {
    let head = raw("HTTP/1.1 200 OK\ncontent-type: application/json\nconnection: close\n\n{");
    let server = Server::start([Reply::Stall(head)]).await;
    let mut config = server.config();
    config.timeouts.document = Duration::from_millis(100);
    config.retries.max_retries = 0;
    let error = item(&GraphClient::new(&config).unwrap()).await.unwrap_err();
    assert!(matches!(error, GraphError::Timeout { what: "whole answer", .. }));
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn tries_are_bounded() {
    let server = Server::start((0..9).map(|_| reply(502, &[], ""))).await;
    let client = server.client();
    assert!(matches!(item(&client).await, Err(GraphError::Unavailable { status: 502, .. })));
    assert_eq!(client.requests_sent(), 3);
}

#[tokio::test]
async fn what_repeating_does_not_change_is_sent_once() {
    for status in [400, 403, 404, 405, 409, 410, 412, 416, 422, 423, 501, 507] {
        let server = Server::start([json(status, "{}"), json(200, ITEM)]).await;
        let client = server.client();
        assert_eq!(item(&client).await.unwrap_err().retry(), Retry::Never, "{status}");
        assert_eq!(client.requests_sent(), 1, "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_that_may_pass() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = Server::start([]).await.config();
    config.base = format!("http://{closed}").parse().unwrap();
    let client = GraphClient::new(&config).unwrap();
    let error = item(&client).await.unwrap_err();
    assert_eq!((error.reason(), error.retry()), ("CONNECTION_FAILED", Retry::Backoff));
    assert_eq!(client.requests_sent(), 3);
}

#[tokio::test]
async fn a_stated_wait_is_waited_out() {
    let throttled = r#"{"error":{"code":"activityLimitReached","innerError":{"code":"throttledRequest"}}}"#;
    for refusal in [busy(429, throttled), busy(503, "")] {
        let server = Server::start([refusal, json(200, ITEM)]).await;
        let client = server.client();
        let started = Instant::now();
        assert!(item(&client).await.is_ok());
        assert!(started.elapsed() >= Duration::from_secs(1), "nothing is sent before the time asked for");
        assert_eq!(client.requests_sent(), 2);
    }
}

/// An answer that asks to wait for a second.
fn busy(status: u16, body: &str) -> Reply {
    reply(status, &[("retry-after", "1"), ("content-type", "application/json")], body)
}

#[tokio::test]
async fn one_throttled_call_holds_all_and_a_wait_beyond_their_time_is_handed_on() {
    let server = Server::start([reply(429, &[("retry-after", "600")], ""), json(200, ITEM)]).await;
    let client = server.client();
    for result in [page(&client).await.map(drop), item(&client).await.map(drop)] {
        let Err(GraphError::Throttled { retry_after }) = result else { panic!("not throttled") };
        assert!(retry_after > Duration::from_mins(9) && retry_after <= Duration::from_mins(10));
    }
    assert_eq!(client.requests_sent(), 1);
}

#[tokio::test]
async fn a_throttled_answer_that_does_not_say_how_long_has_a_default() {
    let server = Server::start([reply(429, &[], "")]).await;
    let mut config = server.config();
    config.retries.throttle_default = Duration::from_mins(50);
    let error = item(&GraphClient::new(&config).unwrap()).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(wait) if wait > Duration::from_mins(49)));
}
