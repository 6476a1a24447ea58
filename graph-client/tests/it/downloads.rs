//! Contents: ranges, links that expire, contents that end early.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use graph_client::{ByteSpan, Download, DownloadHosts, GraphClient, GraphError, Retry};

use crate::server::{Reply, Server, link, raw, reply};

/// A server that answers a download of `/content` by script, and what the client makes of it.
async fn download(span: ByteSpan, script: Vec<Reply>) -> (Server, GraphClient, Result<Download, GraphError>) {
    let server = Server::start([]).await;
    let mut config = server.config();
    config.timeouts.idle = Duration::from_millis(300);
    let client = GraphClient::new(&config).unwrap();
    let link = link(&server, &client, "/content?tempauth=a%2Fb").await;
    for reply in script {
        server.then(reply);
    }
    let download = client.download(&link, span).await;
    (server, client, download)
}

async fn text(download: Download) -> Result<String, GraphError> {
    let pieces: Vec<_> = download.into_stream().try_collect().await?;
    Ok(String::from_utf8(pieces.concat()).unwrap())
}

#[tokio::test]
async fn a_whole_content_is_fetched_without_the_token() {
    let (server, client, download) = download(ByteSpan::Whole, vec![reply(200, &[], "hello")]).await;
    let download = download.unwrap();
    assert_eq!(
        (download.offset(), download.content_length(), download.total_length()),
        (0, Some(5), Some(5))
    );
    assert_eq!(text(download).await.unwrap(), "hello");
    let request = &server.requests()[1];
    assert_eq!(request.target, "/content?tempauth=a%2Fb");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(
        (request.header("accept"), request.header("accept-encoding")),
        (Some("*/*"), Some("identity"))
    );
    assert_eq!(request.header("range"), None);
    assert_eq!(client.requests_sent(), 2);
}

#[tokio::test]
async fn an_empty_content_is_a_content() {
    let (_, _, download) = download(ByteSpan::Whole, vec![reply(200, &[], "")]).await;
    assert_eq!(text(download.unwrap()).await.unwrap(), "");
}

/// SharePoint's answer over a limit (elastic/connectors#1568). RFC 6266 knows two spellings of a name.
#[tokio::test]
async fn a_text_in_place_of_a_content_is_told_by_its_name() {
    for (disposition, is_error_text) in [
        ("attachment; filename*=UTF-8''report%2Edocx_Error.txt", true),
        ("attachment; filename=\"report.docx_Error.txt\"", true),
        ("attachment; filename=\"a_Error.txt\"; filename*=UTF-8''a_Error.txt", true),
        ("attachment; filename=\"_Error.txt.docx\"", false),
        ("attachment", false),
    ] {
        let script = vec![reply(200, &[("content-disposition", disposition)], "x")];
        let (_, _, download) = download(ByteSpan::Whole, script).await;
        assert_eq!(download.unwrap().is_named_error_text(), is_error_text, "{disposition}");
    }
}

#[tokio::test]
async fn a_part_is_what_was_asked_for() {
    let part = reply(206, &[("content-range", "bytes 5-9/100")], "56789");
    let (server, _, download) = download(ByteSpan::Within(5..10), vec![part]).await;
    let download = download.unwrap();
    assert_eq!(
        (download.offset(), download.content_length(), download.total_length()),
        (5, Some(5), Some(100))
    );
    assert_eq!(text(download).await.unwrap(), "56789");
    assert_eq!(server.requests()[1].header("range"), Some("bytes=5-9"));
}

#[tokio::test]
async fn a_service_that_ignores_the_range_starts_at_nought() {
    let (_, _, download) = download(ByteSpan::From(5), vec![reply(200, &[], "0123456789")]).await;
    let download = download.unwrap();
    assert_eq!(download.offset(), 0);
    assert_eq!(text(download).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn another_part_is_refused() {
    for headers in [
        vec![],
        vec![("content-range", "bytes 4-8/100")],
        vec![("content-range", "bytes 5-10/100")],
        vec![("content-range", "bytes 5-8/100")],
        vec![("content-range", "nonsense")],
        vec![("content-type", "multipart/byteranges; boundary=x")],
    ] {
        let (_, _, download) = download(ByteSpan::Within(5..10), vec![reply(206, &headers, "56789")]).await;
        assert!(matches!(download, Err(GraphError::Malformed { .. })), "{headers:?}");
    }
    let unasked = reply(206, &[("content-range", "bytes 0-4/100")], "01234");
    let (_, _, download) = download(ByteSpan::Whole, vec![unasked]).await;
    assert!(matches!(download, Err(GraphError::Malformed { .. })));
}

#[tokio::test]
async fn a_content_that_ends_early_is_an_error() {
    for cut in [
        "HTTP/1.1 200 OK\ncontent-length: 10\n\n01234",
        "HTTP/1.1 206 Partial\ncontent-range: bytes 5-14/15\nconnection: close\n\n56789",
    ] {
        let span = if cut.contains("206") { ByteSpan::From(5) } else { ByteSpan::Whole };
        let (_, _, download) = download(span, vec![Reply::Close(raw(cut))]).await;
        let error = text(download.unwrap()).await.unwrap_err();
        assert!(matches!(error, GraphError::Truncated { expected: 10, received: 5 }), "{cut}: {error:?}");
        assert_eq!(error.retry(), Retry::Backoff);
    }
    let chunked = raw("HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\n01234\n");
    let (_, _, download) = download(ByteSpan::Whole, vec![Reply::Close(chunked)]).await;
    assert!(matches!(text(download.unwrap()).await, Err(GraphError::Connection(_))));
}

#[tokio::test]
async fn a_content_that_stalls_is_an_error() {
    let stalled = raw("HTTP/1.1 200 OK\ncontent-length: 10\n\n01234");
    let (_, _, download) = download(ByteSpan::Whole, vec![Reply::Stall(stalled)]).await;
    let mut download = download.unwrap();
    assert_eq!(download.chunk().await.unwrap().as_deref(), Some(b"01234".as_slice()));
    assert!(matches!(download.chunk().await, Err(GraphError::Timeout { .. })));
}

#[tokio::test]
async fn an_expired_link_asks_for_a_fresh_one() {
    for status in [401, 410] {
        let (_, client, download) =
            download(ByteSpan::Whole, vec![reply(status, &[], "<html></html>")]).await;
        assert!(download.unwrap_err().is_link_expired());
        assert_eq!(client.requests_sent(), 2);
    }
}

#[tokio::test]
async fn refusals_are_never_taken_for_contents() {
    for (status, headers, body, reason) in [
        (403, vec![("x-virus-infected", "true")], "", "MALWARE"),
        (403, vec![], r#"{"error":{"code":"malwareDetected"}}"#, "MALWARE"),
        (403, vec![], "<html>denied</html>", "ACCESS_DENIED"),
        (404, vec![], "", "ITEM_NOT_FOUND"),
        (416, vec![], "", "OUT_OF_RANGE"),
        (423, vec![], "", "LOCKED"),
        (302, vec![("location", "https://evil.test/")], "", "REDIRECTED"),
        (204, vec![], "", "REQUEST_REFUSED"),
    ] {
        let (_, _, download) = download(ByteSpan::From(5), vec![reply(status, &headers, body)]).await;
        assert_eq!(download.unwrap_err().reason(), reason, "{status}");
    }
}

#[tokio::test]
async fn failures_before_the_content_begins_are_tried_again() {
    let script = vec![reply(502, &[], "busy"), Reply::Close(Vec::new()), reply(200, &[], "hello")];
    let (_, client, download) = download(ByteSpan::Whole, script).await;
    assert_eq!(text(download.unwrap()).await.unwrap(), "hello");
    assert_eq!(client.requests_sent(), 4);
}

#[tokio::test]
async fn hosts_that_are_not_allowed_see_no_request() {
    let server = Server::start([]).await;
    let mut config = server.config();
    config.download_hosts = DownloadHosts::microsoft();
    let client = GraphClient::new(&config).unwrap();
    let link = link(&server, &client, "/content").await;
    assert!(matches!(client.download(&link, ByteSpan::Whole).await, Err(GraphError::ForbiddenDownload)));
    assert_eq!(client.requests_sent(), 1);
}
