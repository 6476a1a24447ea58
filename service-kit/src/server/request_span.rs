//! Gives each request an id and a span, and logs one line about how it went.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rand::RngExt as _;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Span;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Most characters of a request id that a caller chose.
const MAX_LENGTH: usize = 64;

/// What tells one request from all others: the caller's `x-request-id` if it is 1 to 64 letters, digits, `-`, `_` or `.`,
/// else a random number. The answer carries it back.
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let chosen = headers
            .get(HEADER)
            .filter(|id| (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().copied().all(allowed));
        let mut id = chosen.cloned().unwrap_or_else(|| HeaderValue::from(rand::rng().random::<u64>()));
        // No secret, but it never comes again: HTTP/2 shall not push what does out of its table of headers for it, and then look
        // through all the ids in there, which cost more than all of the layers around a request.
        id.set_sensitive(true);
        Self(id)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The span of a request.
    pub(super) fn span(&self, request: &Request<Body>) -> Span {
        // The path of a gRPC request is the RPC's name; nothing that a caller sent as data is in it.
        let method = shown(request.uri().path());
        tracing::info_span!("rpc", rpc.method = %method, request.id = %self.as_str())
    }

    /// Tells the caller.
    pub(super) fn carry_back(self, response: &mut Response<Body>) {
        response.headers_mut().insert(HEADER, self.0);
    }
}

/// Most bytes of a path that are logged; RPC names are shorter.
const MAX_METHOD_LENGTH: usize = 128;

/// The path as far as it is like the name of an RPC: it is written into log lines as it is.
fn shown(path: &str) -> &str {
    let name = path.strip_prefix('/').unwrap_or(path);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/');
    let length = name.bytes().take(MAX_METHOD_LENGTH).take_while(is_plain).count();
    name.get(..length).unwrap_or_default()
}

/// Logs the outcome; that there was none if it is dropped first, because the caller went away or its deadline passed.
pub(super) struct Unanswered {
    began: Instant,
    over: bool,
}

impl Unanswered {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), over: false }
    }

    pub(super) fn answered(mut self, response: &Response<Body>) {
        self.over = true;
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        match code {
            Code::Ok => {
                tracing::debug!(rpc.code = ?code, rpc.duration_ms = self.milliseconds(), "answered");
            }
            Code::Internal | Code::Unknown | Code::DataLoss => {
                tracing::warn!(rpc.code = ?code, rpc.duration_ms = self.milliseconds(), "failed");
            }
            Code::Cancelled
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unavailable
            | Code::Unauthenticated => {
                tracing::info!(rpc.code = ?code, rpc.duration_ms = self.milliseconds(), "refused");
            }
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.over {
            tracing::info!(
                rpc.duration_ms = self.milliseconds(),
                "the caller went away or its deadline passed"
            );
        }
    }
}
