//! Bounds how long a handler may take. A caller's own, shorter deadline (`grpc-timeout`) is tonic's to keep.

use std::time::Duration;

use http::Response;
use tonic::{Status, body::Body};

use crate::status::{ApiError, Code};

pub(super) async fn within(limit: Duration, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("the service did not finish within {} s", limit.as_secs());
        Status::from(ApiError::new(Code::Unavailable, "REQUEST_TIMEOUT", message)).into_http()
    })
}
