//! Turns why an operation did not do what it was asked into what the caller reads. The table is in docs/ERRORS.md.

use service_kit::{error_chain::ErrorChain, status::ApiError, status::Code};
use tonic::Status;

use crate::{
    ops::OpError,
    store::{StoreError, scratch::ScratchError},
};

/// The status of an error. What is ours to mend never shows its text.
pub(super) fn status(error: OpError) -> Status {
    let message = error.to_string();
    let api = match error {
        OpError::SourceNotFound(_) => ApiError::new(Code::NotFound, "SOURCE_NOT_FOUND", message),
        OpError::SourceExists(_) => ApiError::new(Code::AlreadyExists, "SOURCE_EXISTS", message),
        OpError::SourceSuspended(_) => ApiError::new(Code::FailedPrecondition, "SOURCE_SUSPENDED", message),
        OpError::SourceLeased { retry_after, .. } => {
            ApiError::new(Code::Aborted, "SOURCE_LEASED", message).with_retry_after(retry_after)
        }
        OpError::RunNotFound(_) => ApiError::new(Code::NotFound, "RUN_NOT_FOUND", message),
        OpError::LeaseLost(_) => ApiError::new(Code::Aborted, "LEASE_LOST", message),
        OpError::CursorMismatch(_) => ApiError::new(Code::FailedPrecondition, "CURSOR_MISMATCH", message),
        OpError::ListingIncomplete(_) => {
            ApiError::new(Code::FailedPrecondition, "LISTING_INCOMPLETE", message)
        }
        OpError::NoDeletionsHeld(_) => ApiError::new(Code::FailedPrecondition, "NO_DELETIONS_HELD", message),
        OpError::MoreDeletionsHeld { .. } => {
            ApiError::new(Code::FailedPrecondition, "MORE_DELETIONS_HELD", message)
        }
        OpError::BadActionToken { .. } | OpError::FindingsMissing(_) | OpError::NotHealing(_) => {
            ApiError::new(Code::InvalidArgument, "INVALID_FIELDS", message)
        }
        OpError::Store(error @ StoreError::Database(_))
        | OpError::Scratch(ScratchError::Read(error @ StoreError::Database(_))) => unavailable(&error),
        OpError::Scratch(error @ ScratchError::Make(_)) => {
            tracing::error!(error = %ErrorChain(&error), "a scratch copy of the index cannot be made");
            ApiError::new(Code::Unavailable, "SCRATCH_UNAVAILABLE", message)
        }
        OpError::Scratch(error) => ApiError::internal(&error),
        OpError::Store(error @ StoreError::Inconsistent { .. }) => ApiError::internal(&error),
        OpError::Encode(error) => ApiError::internal(&error),
    };
    api.into()
}

/// The status of a call that waited when the service began to end.
pub(super) fn shutting_down() -> Status {
    ApiError::new(Code::Unavailable, "SHUTTING_DOWN", "the service is shutting down; try again").into()
}

/// How long a caller is to wait before it tries again when the database is away.
const DATABASE_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

fn unavailable(error: &StoreError) -> ApiError {
    tracing::error!(error = %ErrorChain(error), "the sync database failed");
    ApiError::new(Code::Unavailable, "DATABASE_UNAVAILABLE", "the sync database is not available; try again")
        .with_retry_after(DATABASE_RETRY)
}
