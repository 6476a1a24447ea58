//! How a run can end, and what follows for whoever started the worker.

use std::time::Duration;

use graph_client::{GraphError, Retry, TokenError};
use service_kit::{exit::Exit, status::status_reason, status::status_retry_after};
use tonic::{Code, Status};

use super::service::passes;
use crate::{
    destination::DestinationError,
    domain::{
        listing::{FEED_CIRCLE, FEED_REFUSED},
        run::{FinishState, RunState, WORKER_STOPPED},
    },
};

/// Why a worker's work stopped early.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another worker has the run, or the source is gone.
    #[error("the lease was lost")]
    LeaseLost,
    /// Somebody cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// The worker itself is to end.
    #[error("the worker was told to stop")]
    ShuttingDown,
    /// Graph did not do its part.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The destination did not do its part.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// sync-service refused or is away.
    #[error("sync-service: {}", .0.message())]
    Service(#[from] Box<Status>),
    /// The feed led back to a page that was read already.
    #[error("the drive's feed leads in a circle")]
    FeedCircle,
    /// The provider does not take the link that the feed is to go on with, and gives no other.
    #[error("the provider refuses the stored link of the feed")]
    FeedRefused(#[source] GraphError),
    /// The provider refused the fresh enumeration that it had asked for.
    #[error("the provider asked for a fresh listing of {drive} twice in one run")]
    ResyncAgain {
        /// The drive.
        drive: String,
    },
    /// A transfer did not end as it should.
    #[error("a transfer broke off")]
    Task(#[from] tokio::task::JoinError),
    /// The service said something that it never should.
    #[error("sync-service broke the contract: {0}")]
    Protocol(&'static str),
}

impl From<Status> for WorkerError {
    fn from(status: Status) -> Self {
        if status_reason(&status).as_deref() == Some("LEASE_LOST") {
            Self::LeaseLost
        } else {
            Self::Service(Box::new(status))
        }
    }
}

impl WorkerError {
    /// Whether sync-service was away for a moment, and the work may go on.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Service(status) if passes(status))
    }

    /// How the run is to be finished.
    pub fn finish_state(&self) -> FinishState {
        match self {
            Self::Cancelled => FinishState::Cancelled,
            _ if self.needs_person() => FinishState::NeedsPerson,
            Self::LeaseLost
            | Self::ShuttingDown
            | Self::Graph(_)
            | Self::Destination(_)
            | Self::Service(_)
            | Self::FeedCircle
            | Self::FeedRefused(_)
            | Self::ResyncAgain { .. }
            | Self::Task(_)
            | Self::Protocol(_) => FinishState::Failed,
        }
    }

    /// Short reason for machines.
    pub fn reason(&self) -> String {
        match self {
            Self::LeaseLost => "LEASE_LOST".to_owned(),
            Self::Cancelled => "CANCELLED".to_owned(),
            Self::ShuttingDown => WORKER_STOPPED.to_owned(),
            Self::Graph(error) => error.reason().to_owned(),
            Self::Destination(error) => error.reason().to_owned(),
            Self::Service(status) => {
                status_reason(status).unwrap_or_else(|| "SYNC_SERVICE_UNAVAILABLE".to_owned())
            }
            Self::FeedCircle => FEED_CIRCLE.to_owned(),
            Self::FeedRefused(_) => FEED_REFUSED.to_owned(),
            Self::ResyncAgain { .. } => "RESYNC_AGAIN".to_owned(),
            Self::Task(_) => "INTERNAL".to_owned(),
            Self::Protocol(_) => "PROTOCOL".to_owned(),
        }
    }

    /// When the other side said to come back at the earliest.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Graph(GraphError::Token(TokenError { retry_after, .. })) => *retry_after,
            Self::Graph(error) => match error.retry() {
                Retry::After(wait) => Some(wait),
                Retry::Never | Retry::Backoff => None,
            },
            Self::Service(status) => status_retry_after(status),
            Self::LeaseLost
            | Self::Cancelled
            | Self::ShuttingDown
            | Self::Destination(_)
            | Self::FeedCircle
            | Self::FeedRefused(_)
            | Self::ResyncAgain { .. }
            | Self::Task(_)
            | Self::Protocol(_) => None,
        }
    }

    /// The exit code of a command that ended with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Service(status) => exit_of(status.code()),
            _ if self.needs_person() => Exit::NeedsPerson,
            Self::LeaseLost
            | Self::Cancelled
            | Self::ShuttingDown
            | Self::Graph(_)
            | Self::Destination(_)
            | Self::FeedCircle
            | Self::FeedRefused(_)
            | Self::ResyncAgain { .. } => Exit::TryAgain,
            Self::Task(_) | Self::Protocol(_) => Exit::Failure,
        }
    }

    fn needs_person(&self) -> bool {
        match self {
            Self::Graph(error) => error.needs_person(),
            Self::Destination(error) => error.needs_person(),
            Self::LeaseLost
            | Self::Cancelled
            | Self::ShuttingDown
            | Self::Service(_)
            | Self::FeedCircle
            | Self::FeedRefused(_)
            | Self::ResyncAgain { .. }
            | Self::Task(_)
            | Self::Protocol(_) => false,
        }
    }
}

fn exit_of(code: Code) -> Exit {
    if matches!(code, Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded) {
        Exit::TryAgain
    } else if matches!(code, Code::FailedPrecondition | Code::PermissionDenied | Code::Unauthenticated) {
        Exit::NeedsPerson
    } else if matches!(code, Code::InvalidArgument | Code::NotFound) {
        Exit::Configuration
    } else {
        Exit::Failure
    }
}

/// What is to be said of a run as a whole.
#[derive(Debug, Default)]
pub(super) struct Remark {
    /// Machine-readable reason.
    pub(super) reason: String,
    /// One sentence for people.
    pub(super) detail: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// The run's resource name.
    pub run: String,
    /// How it ended, as far as the worker knows; the service's word may be stricter.
    pub state: RunState,
    /// Items that still differ.
    pub items_left: i64,
    /// Deletions that wait for approval.
    pub deletions_held: i64,
    /// Why it stopped early, if it did.
    pub error: Option<WorkerError>,
}

impl RunEnd {
    /// The exit code of a command that did this run.
    pub fn exit(&self) -> Exit {
        match self.state {
            RunState::Succeeded | RunState::Partial => Exit::Done,
            RunState::NeedsPerson => Exit::NeedsPerson,
            RunState::Running | RunState::Failed | RunState::Cancelled => {
                self.error.as_ref().map_or(Exit::TryAgain, WorkerError::exit)
            }
        }
    }
}
