//! Bounds the requests under way, from the first byte to the last of the answer.

use std::{sync::Arc, time::Duration};

use http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;

use crate::status::{ApiError, Code};

/// What an overloaded server asks callers to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Health checks always get through: an overloaded server is not a dead one.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The places that there are.
pub(super) struct Admission {
    places: Arc<Semaphore>,
}

/// The place of a request, given back when it is dropped. Health checks need none.
pub(super) struct Place {
    _place: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(super) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }

    /// Takes a place for a request.
    pub(super) fn admit(&self, request: &Request<Body>) -> Result<Place, ApiError> {
        if request.uri().path().starts_with(HEALTH) {
            return Ok(Place { _place: None });
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let error =
                ApiError::new(Code::ResourceExhausted, "OVERLOADED", "too many requests are under way");
            return Err(error.with_retry_after(RETRY_AFTER));
        };
        Ok(Place { _place: Some(place) })
    }
}
