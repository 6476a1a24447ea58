//! Bounds how long a handler may take. A caller's own, shorter deadline (`grpc-timeout`) is tonic's to keep.

use std::time::Duration;

use http::{Request, Response};
use tonic::{Status, body::Body};

use super::middleware::{Middleware, Next};
use crate::status::{ApiError, Code};

#[derive(Clone, Copy)]
pub(super) struct Deadline(pub(super) Duration);

impl Middleware for Deadline {
    async fn handle(&self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let answer = tokio::time::timeout(self.0, next.run(request)).await;
        answer.unwrap_or_else(|_| {
            let message = format!("the service did not finish within {} s", self.0.as_secs());
            Status::from(ApiError::new(Code::Unavailable, "REQUEST_TIMEOUT", message)).into_http()
        })
    }
}
