//! Gives each request an id and a span, and logs one line about how it went.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rand::RngExt as _;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

use super::middleware::{Middleware, Next};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Most characters of a request id that a caller chose.
const MAX_LENGTH: usize = 64;

/// What tells one request from all others: the caller's `x-request-id` if it is 1 to 64 letters, digits, `-`, `_` or `.`,
/// else 16 random hexadecimal digits. Handlers find it in the request's extensions; the answer carries it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|id| (1..=MAX_LENGTH).contains(&id.len()) && id.chars().all(allowed))
            .map_or_else(|| Self(format!("{:016x}", rand::rng().random::<u64>())), |id| Self(id.to_owned()))
    }
}

#[derive(Clone, Copy)]
pub(super) struct RequestSpan;

impl Middleware for RequestSpan {
    async fn handle(&self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let id = RequestId::of(request.headers());
        let header = HeaderValue::from_str(id.as_str()).ok();
        // The path of a gRPC request is the RPC's name; nothing that a caller sent as data is in it.
        let method = shown(request.uri().path());
        let span = tracing::info_span!("rpc", rpc.method = method, request.id = id.as_str());
        request.extensions_mut().insert(id);
        async move {
            let unanswered = Unanswered::begin();
            let mut response = next.run(request).await;
            unanswered.answered(&response);
            if let Some(header) = header {
                response.headers_mut().insert(HEADER, header);
            }
            response
        }
        .instrument(span)
        .await
    }
}

/// Most bytes of a path that are logged; RPC names are shorter.
const MAX_METHOD_LENGTH: usize = 128;

fn shown(path: &str) -> &str {
    let name = path.trim_start_matches('/');
    name.get(..name.floor_char_boundary(MAX_METHOD_LENGTH)).unwrap_or_default()
}

/// Logs the outcome; that there was none if it is dropped first, because the caller went away or its deadline passed.
struct Unanswered {
    began: Instant,
    over: bool,
}

impl Unanswered {
    fn begin() -> Self {
        Self { began: Instant::now(), over: false }
    }

    fn answered(mut self, response: &Response<Body>) {
        self.over = true;
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        let duration_ms = self.milliseconds();
        match code {
            Code::Ok => tracing::debug!(rpc.code = ?code, rpc.duration_ms = duration_ms, "answered"),
            Code::Internal | Code::Unknown | Code::DataLoss => {
                tracing::warn!(rpc.code = ?code, rpc.duration_ms = duration_ms, "failed");
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
                tracing::info!(rpc.code = ?code, rpc.duration_ms = duration_ms, "refused");
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
