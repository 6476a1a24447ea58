//! Turns a panic in a handler into an answer, so that it costs one request and not the connection.

use std::panic::{self, AssertUnwindSafe};

use futures_util::FutureExt as _;
use http::Response;
use tonic::{Status, body::Body};

use super::routes::Answer;
use crate::status::ApiError;

/// What is reported; the panic's own text went to stderr and may contain anything.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
pub(super) struct Panicked;

/// Begins an answer and works it out. What it is begun with is gone when this returns, so that the future is small.
pub(super) fn caught(begin: impl FnOnce() -> Answer) -> impl Future<Output = Response<Body>> {
    let answer = panic::catch_unwind(AssertUnwindSafe(begin));
    async move {
        let Ok(answer) = answer else { return panicked() };
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => panicked(),
        }
    }
}

fn panicked() -> Response<Body> {
    Status::from(ApiError::internal(&Panicked)).into_http()
}
