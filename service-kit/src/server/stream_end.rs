//! Ends streams when the server stops: somebody who watches would otherwise keep it from ending.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use super::admission::Place;
use crate::status::{ApiError, Code};

/// How long a stream may stay silent after shutting down began; one with something to send goes on.
const GRACE: Duration = Duration::from_secs(1);

/// Gives the answer a body that ends with `UNAVAILABLE` `SHUTTING_DOWN` if it is silent when the server stops, and keeps the place of
/// the request until it is sent or dropped.
pub(super) fn around(
    response: Response<Body>,
    shutdown: &Arc<CancellationToken>,
    place: Place,
) -> Response<Body> {
    if http_body::Body::is_end_stream(response.body()) {
        return response;
    }
    let shutdown = Arc::clone(shutdown);
    response.map(|inner| Body::new(Ending { inner, shutdown, stop: None, ended: false, _place: place }))
}

struct Ending {
    inner: Body,
    shutdown: Arc<CancellationToken>,
    /// Made when the answer is silent for the first time: most never are.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ended: bool,
    _place: Place,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let shutdown = Arc::clone(&self.shutdown);
        let stop = self.stop.get_or_insert_with(|| Box::pin(grace(shutdown)));
        if stop.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.ended = true;
        Poll::Ready(Some(trailers().map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

async fn grace(shutdown: Arc<CancellationToken>) {
    shutdown.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

fn trailers() -> Result<HeaderMap, Status> {
    let error = ApiError::new(Code::Unavailable, "SHUTTING_DOWN", "the server is shutting down; try again");
    let mut trailers = HeaderMap::new();
    Status::from(error).add_header(&mut trailers)?;
    Ok(trailers)
}
