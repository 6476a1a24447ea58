//! The connection below HTTP, and the faults that live there: stalls, resets, bodies cut short.

mod door;
mod link;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::serve::IncomingStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

pub(crate) use self::door::Door;
pub(crate) use self::link::Pace;
use self::link::Signals;
use crate::clock::{Clock, http_date};
use crate::faults::{BodyForm, FaultKind, Hits, ResetMoment, RetryAfter};
use crate::world::World;

/// How often it is looked whether the half of a body was sent.
const FLUSH_CHECK: Duration = Duration::from_millis(1);
/// How long a client may take to read the half of a body that is cut short.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// What a request knows of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    signals: Arc<Signals>,
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { signals: stream.io().signals() }
    }
}

impl Peer {
    /// Resets the connection at the next byte; the response returned is never seen.
    fn reset(&self) -> Response {
        self.signals.cut.store(true, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// Answers a request with the faults that strike its connection, and counts the answer.
pub(crate) async fn respond(
    world: &World,
    peer: &Peer,
    hits: &Hits,
    answer: impl Future<Output = Response> + Send,
) -> Response {
    world.counters.add(|counts| counts.faults += hits.count());
    let stall = hits.find(|kind| {
        let FaultKind::HeaderStall { milliseconds } = kind else { return None };
        Some(*milliseconds)
    });
    if let Some(milliseconds) = stall {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
            () = world.stopped.cancelled() => {}
        }
    }
    if hits.has(&FaultKind::ConnReset { moment: ResetMoment::Before }) {
        return peer.reset();
    }
    let response = answer.await;
    if hits.has(&FaultKind::ConnReset { moment: ResetMoment::After }) {
        return peer.reset();
    }
    world.counters.status(response.status());
    if hits.has(&FaultKind::TruncatedBody) {
        truncated(response, Arc::clone(&peer.signals))
    } else {
        response
    }
}

/// The answer a [`FaultKind::Status`] asks for; `json` writes the body when it is to be the documented one.
pub(crate) fn status_fault(
    world: &World,
    hits: &Hits,
    json: impl Fn(u16, Option<&str>, Option<&str>) -> Response,
) -> Option<Response> {
    let (status, codes, body, retry_after) = hits.find(|kind| {
        let FaultKind::Status { status, code, inner, body, retry_after } = kind else { return None };
        Some((*status, [code, inner], *body, *retry_after))
    })?;
    let mut response = match body {
        BodyForm::Json => {
            let [code, inner] = codes.map(Option::as_deref);
            json(status, code, inner)
        }
        BodyForm::Html => {
            Html("<html><head><title>Service unavailable</title></head><body>Try later</body></html>")
                .into_response()
        }
        BodyForm::Empty => Response::new(Body::empty()),
    };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = retry_after.and_then(|after| retry_after_value(after, &world.clock)) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    Some(response)
}

/// The value of a `Retry-After` header.
pub(crate) fn retry_after_value(after: RetryAfter, clock: &Clock) -> Option<HeaderValue> {
    let text = match after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::HttpDate(seconds) => http_date(clock.now_seconds().saturating_add(seconds)),
    };
    HeaderValue::try_from(text).ok()
}

/// The same answer, with a body that ends half way although its length was promised.
fn truncated(response: Response, signals: Arc<Signals>) -> Response {
    let (mut parts, body) = response.into_parts();
    let promised =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = promised.or(body.size_hint().exact()).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let left = usize::try_from(length / 2).unwrap_or(usize::MAX);
    let cut = stream::unfold((body.into_data_stream(), left), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = body.next().await?.ok()?;
        chunk.truncate(left);
        let left = left - chunk.len();
        Some((Ok::<Bytes, io::Error>(chunk), (body, left)))
    });
    let end = stream::once(async move {
        // An error drops whatever was not sent yet, so it waits until head and half a body are on their way.
        let before = signals.flushes.load(Ordering::SeqCst);
        let sent = async {
            while signals.flushes.load(Ordering::SeqCst) == before {
                tokio::time::sleep(FLUSH_CHECK).await;
            }
        };
        if tokio::time::timeout(FLUSH_LIMIT, sent).await.is_err() {
            tracing::debug!("a client took too long to read the half of a body");
        }
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(parts, Body::from_stream(cut.chain(end)))
}
