//! Streams that are followed to their end although their service restarts in between.

use std::time::Duration;

use service_kit::{exit::Exit, status::status_reason};
use tonic::{Code, Status};

use crate::failure::Failure;

/// How often in a row a stream that broke is taken up again before giving up.
const MAX_BREAKS: u32 = 30;
/// How long to wait before that.
const BREAK_WAIT: Duration = Duration::from_secs(1);

/// Why a stream gave no result.
#[derive(Debug)]
pub enum Broken {
    /// The service has answered; asking again changes nothing.
    Refused(Status),
    /// The service is not there just now.
    Gone(Failure),
}

impl Broken {
    /// The stream ended before what it showed had ended.
    pub fn ended() -> Self {
        Self::Gone(Failure::new(Exit::Unavailable, "the service ended the stream; try again"))
    }
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        // A connection that breaks in the middle shows as one of these, without the details that a service gives.
        let is_connection = status_reason(&status).is_none()
            && matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
        if is_connection || status.code() == Code::Unavailable {
            Self::Gone(Failure::from_status("follow the stream", &status))
        } else {
            Self::Refused(status)
        }
    }
}

/// Opens a stream and reads it to its result, again when it breaks. `what` completes "cannot …".
///
/// # Errors
/// The service refused, or did not come back.
pub async fn follow<T>(what: &str, mut open: impl AsyncFnMut() -> Result<T, Broken>) -> Result<T, Failure> {
    let mut breaks = 0;
    loop {
        let gone = match open().await {
            Ok(result) => return Ok(result),
            Err(Broken::Refused(status)) => return Err(Failure::from_status(what, &status)),
            Err(Broken::Gone(failure)) => failure,
        };
        breaks += 1;
        if breaks > MAX_BREAKS {
            return Err(gone);
        }
        tokio::time::sleep(BREAK_WAIT).await;
    }
}

#[cfg(test)]
mod tests {
    use service_kit::status::{ApiError, Code as ApiCode};

    use super::*;

    #[tokio::test]
    async fn a_break_is_taken_up_again_and_a_refusal_is_not() {
        let mut opened = 0;
        let result = follow("watch", async || {
            opened += 1;
            if opened == 1 { Err(Broken::from(Status::unavailable("restarting"))) } else { Ok(opened) }
        })
        .await;
        assert_eq!(result.unwrap(), 2);

        let mut opened = 0;
        let refusal = ApiError::new(ApiCode::NotFound, "RUN_NOT_FOUND", "there is no such run");
        let result: Result<(), Failure> = follow("watch", async || {
            opened += 1;
            Err(Broken::from(Status::from(refusal.clone())))
        })
        .await;
        assert!(result.unwrap_err().line().starts_with("cannot watch: there is no such run"));
        assert_eq!(opened, 1);
    }

    #[test]
    fn an_internal_error_of_the_service_is_not_a_break() {
        let ours = Status::from(ApiError::new(ApiCode::Internal, "INTERNAL", "internal error"));
        assert!(matches!(Broken::from(ours), Broken::Refused(_)));
        assert!(matches!(Broken::from(Status::internal("h2 protocol error")), Broken::Gone(_)));
    }
}
