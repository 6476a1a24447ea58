//! Everything around a request, in one future and with one body around the answer's: each more would be made, moved and asked for
//! every request.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tower::Service;
use tracing::Instrument as _;

use super::{
    ServerLimits,
    admission::Admission,
    catch_panic, deadline,
    request_span::{RequestId, Unanswered},
    routes::{Answer, Routes},
    stream_end,
};

/// The services of a server with everything around them. Clones share it.
#[derive(Clone)]
pub(super) struct Concerns(Arc<Shared>);

struct Shared {
    limits: ServerLimits,
    admission: Admission,
    /// Shared, because cloning a token takes a lock that all requests would queue for.
    shutdown: Arc<CancellationToken>,
    routes: Routes,
}

impl Concerns {
    pub(super) fn new(limits: ServerLimits, routes: Routes, shutdown: CancellationToken) -> Self {
        let admission = Admission::new(limits.max_in_flight);
        Self(Arc::new(Shared { limits, admission, shutdown: Arc::new(shutdown), routes }))
    }
}

impl Service<Request<Body>> for Concerns {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let shared = Arc::clone(&self.0);
        let id = RequestId::of(request.headers());
        let span = id.span(&request);
        let handled = async move {
            let unanswered = Unanswered::begin();
            let mut response = match shared.admission.admit(&request) {
                Ok(place) => {
                    let answer = catch_panic::caught(|| shared.routes.call(request));
                    let response = deadline::within(shared.limits.request_timeout, answer).await;
                    stream_end::around(response, &shared.shutdown, place)
                }
                Err(error) => Status::from(error).into_http(),
            };
            unanswered.answered(&response);
            id.carry_back(&mut response);
            Ok(response)
        };
        Box::pin(handled.instrument(span))
    }
}
