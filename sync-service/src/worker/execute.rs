//! Does one action at the destination.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use proto::sync::v1::{self as pb, action::Kind};
use service_kit::clock::Timestamp;

use super::{
    WorkerError,
    file_state::{self, expected},
    transfer::{TransferError, Transfers},
};
use crate::destination::{Destination, DestinationError, Kept};

/// This many transfers in a row that fail for a passing reason end the run: then it is not the items.
const MAX_PASSING_FAILURES: u32 = 8;

/// Whether an action may be done beside others of its wave.
pub(super) fn is_transfer(action: &pb::Action) -> bool {
    matches!(action.kind, Some(Kind::PutContent(_) | Kind::SetTimes(_)))
}

/// What came of an action.
struct Effect {
    done: pb::Done,
    kept: Vec<Kept>,
}

/// Does actions.
pub(super) struct Executor {
    destination: Arc<dyn Destination>,
    transfers: Transfers,
    passing_failures: AtomicU32,
    /// What there was no room for.
    did_not_fit: AtomicU64,
}

impl Executor {
    pub(super) fn new(destination: Arc<dyn Destination>, transfers: Transfers) -> Self {
        Self { destination, transfers, passing_failures: AtomicU32::new(0), did_not_fit: AtomicU64::new(0) }
    }

    /// Removes what an earlier worker fetched of files that need no transfer any more.
    pub(super) async fn clear_parts(&self) -> Result<(), DestinationError> {
        self.transfers.clear_parts(self.destination.as_ref()).await
    }

    /// How often there was no room.
    pub(super) fn did_not_fit(&self) -> u64 {
        self.did_not_fit.load(Ordering::Relaxed)
    }

    /// Does one action. What concerns the item alone is its outcome; what concerns everything is an error.
    pub(super) async fn execute(&self, action: pb::Action) -> Result<pb::Outcome, WorkerError> {
        let (result, kept) = match self.perform(&action).await {
            Ok(Effect { done, kept }) => (pb::outcome::Result::Done(done), kept),
            Err(TransferError::Destination(error)) if error.stops_the_run() => return Err(error.into()),
            Err(TransferError::Graph(error)) if self.ends_the_run(&error) => return Err(error.into()),
            Err(error) => {
                if matches!(&error, TransferError::Destination(error) if error.is_full()) {
                    self.did_not_fit.fetch_add(1, Ordering::Relaxed);
                }
                let failed = pb::Failed { reason: error.reason(), detail: error.to_string() };
                (pb::outcome::Result::Failed(failed), error.kept())
            }
        };
        for kept in &kept {
            tracing::warn!(reason = kept.reason(), "{}", kept.detail());
        }
        Ok(pb::Outcome {
            item_id: action.item_id,
            token: action.token,
            result: Some(result),
            notices: kept.iter().map(file_state::notice).collect(),
        })
    }

    async fn perform(&self, action: &pb::Action) -> Result<Effect, TransferError> {
        let path = &action.path;
        let destination = &self.destination;
        let kept = match &action.kind {
            Some(Kind::MakeFolder(_)) => destination.make_folder(path).await?,
            Some(Kind::Move(from)) => {
                let expected = expected(from.expected.as_ref());
                destination.relocate(&from.from, path, expected.as_ref()).await?
            }
            Some(Kind::PutContent(content)) => {
                let put = self.transfers.put(destination.as_ref(), &action.item_id, path, content).await?;
                self.passing_failures.store(0, Ordering::Relaxed);
                let done = pb::Done {
                    bytes: put.file.size.unwrap_or_default(),
                    quick_xor_hash: put.file.hash.clone().unwrap_or_default(),
                    file: Some(file_state::found(put.file)),
                };
                return Ok(Effect { done, kept: put.kept });
            }
            Some(Kind::SetTimes(times)) => {
                let mut done = pb::Done::default();
                if let Some(modified) = times.modified_time.as_ref().and_then(Timestamp::from_proto) {
                    let expected = expected(times.expected.as_ref()).unwrap_or_default();
                    let file = destination.set_modified(path, modified, &expected).await?;
                    done.file = Some(file_state::found(file));
                }
                return Ok(Effect { done, kept: Vec::new() });
            }
            Some(Kind::DeleteFile(file)) => {
                let expected = expected(file.expected.as_ref()).unwrap_or_default();
                destination.delete_file(path, &expected).await?
            }
            Some(Kind::DeleteFolder(_)) => destination.delete_folder(path).await?,
            None => return Err(DestinationError::UnknownAction { path: path.join("/") }.into()),
        };
        Ok(Effect { done: pb::Done::default(), kept })
    }

    fn ends_the_run(&self, error: &graph_client::GraphError) -> bool {
        use graph_client::{GraphError, Retry};
        if error.needs_person() || matches!(error, GraphError::Token(_) | GraphError::Throttled { .. }) {
            return true;
        }
        error.retry() != Retry::Never
            && self.passing_failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_PASSING_FAILURES
    }
}
