//! Bounds the requests under way, from the first byte to the last of the answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

use super::middleware::{Middleware, Next};
use crate::status::{ApiError, Code};

/// What an overloaded server asks callers to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Health checks always get through: an overloaded server is not a dead one.
const HEALTH: &str = "/grpc.health.v1.Health/";

#[derive(Clone)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

impl Middleware for Admission {
    async fn handle(&self, request: Request<Body>, next: impl Next) -> Response<Body> {
        if request.uri().path().starts_with(HEALTH) {
            return next.run(request).await;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let error =
                ApiError::new(Code::ResourceExhausted, "OVERLOADED", "too many requests are under way");
            return Status::from(error.with_retry_after(RETRY_AFTER)).into_http();
        };
        next.run(request).await.map(|inner| Body::new(Placed { inner, _place: place }))
    }
}

/// An answer that keeps its place until it is sent or dropped.
struct Placed {
    inner: Body,
    _place: OwnedSemaphorePermit,
}

impl http_body::Body for Placed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
