//! Turns a panic in a handler into an answer, so that it costs one request and not the connection.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use http::{Request, Response};
use tonic::{Status, body::Body};

use super::middleware::{Middleware, Next};
use crate::status::ApiError;

#[derive(Clone, Copy)]
pub(super) struct CatchPanic;

/// What is reported; the panic's own text went to stderr and may contain anything.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
pub(super) struct Panicked;

impl Middleware for CatchPanic {
    async fn handle(&self, request: Request<Body>, next: impl Next) -> Response<Body> {
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Status::from(ApiError::internal(&Panicked)).into_http(),
        }
    }
}
