//! The connection below HTTP, and the faults that live there: stalls, resets, bodies cut short.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{Clock, http_date};
use crate::faults::{BodyForm, FaultKind, Hits, ResetMoment, RetryAfter};
use crate::world::World;

/// A listener whose connections can be reset by the request they carry.
pub(crate) struct Door {
    listener: TcpListener,
}

impl Door {
    pub(crate) const fn new(listener: TcpListener) -> Self {
        Self { listener }
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection keeps small packets back");
        }
        (Wire { stream, cut: Arc::default() }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) {
            // Closing with a linger of zero sends RST instead of FIN.
            self.stream.set_zero_linger()?;
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a request knows of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    cut: Arc<AtomicBool>,
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { cut: Arc::clone(&stream.io().cut) }
    }
}

impl Peer {
    /// Resets the connection at the next byte; the response returned is never seen.
    fn reset(&self) -> Response {
        self.cut.store(true, Ordering::SeqCst);
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
    if hits.has(&FaultKind::TruncatedBody) { truncated(response) } else { response }
}

/// The answer a [`FaultKind::Status`] asks for; `json` writes the body when it is to be the documented one.
pub(crate) fn status_fault(
    world: &World,
    hits: &Hits,
    json: impl Fn(u16, Option<&str>) -> Response,
) -> Option<Response> {
    let (status, code, body, retry_after) = hits.find(|kind| {
        let FaultKind::Status { status, code, body, retry_after } = kind else { return None };
        Some((*status, code, *body, *retry_after))
    })?;
    let mut response = match body {
        BodyForm::Json => json(status, code.as_deref()),
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
fn truncated(response: Response) -> Response {
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
    let end = stream::once(async {
        // Only what was flushed before the error is sent at all; being asked again lets that happen.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(parts, Body::from_stream(cut.chain(end)))
}
