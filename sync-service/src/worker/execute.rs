//! Does one action at the destination.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use proto::sync::v1::{self as pb, action::Kind};
use service_kit::clock::Timestamp;

use super::{
    WorkerError,
    transfer::{TransferError, Transferred, Transfers},
};
use crate::destination::{Destination, DestinationError};

/// This many transfers in a row that fail for a passing reason end the run: then it is not the items.
const MAX_PASSING_FAILURES: u32 = 8;

/// Whether an action may be done beside others of its wave.
pub(super) fn is_transfer(action: &pb::Action) -> bool {
    matches!(action.kind, Some(Kind::PutContent(_) | Kind::SetTimes(_)))
}

/// Does actions.
pub(super) struct Executor {
    destination: Arc<dyn Destination>,
    transfers: Transfers,
    passing_failures: AtomicU32,
}

impl Executor {
    pub(super) fn new(destination: Arc<dyn Destination>, transfers: Transfers) -> Self {
        Self { destination, transfers, passing_failures: AtomicU32::new(0) }
    }

    /// Removes what an earlier worker fetched of files that need no transfer any more.
    pub(super) async fn clear_parts(&self) -> Result<(), DestinationError> {
        self.transfers.clear_parts(self.destination.as_ref()).await
    }

    /// Does one action. What concerns the item alone is its outcome; what concerns everything is an error.
    pub(super) async fn execute(&self, action: pb::Action) -> Result<pb::Outcome, WorkerError> {
        let result = match self.perform(&action).await {
            Ok(done) => pb::outcome::Result::Done(pb::Done { bytes: done.bytes, quick_xor_hash: done.hash }),
            Err(TransferError::Destination(error)) if error.stops_the_run() => return Err(error.into()),
            Err(TransferError::Graph(error)) if self.ends_the_run(&error) => return Err(error.into()),
            Err(error) => {
                pb::outcome::Result::Failed(pb::Failed { reason: error.reason(), detail: error.to_string() })
            }
        };
        Ok(pb::Outcome { item_id: action.item_id, token: action.token, result: Some(result) })
    }

    async fn perform(&self, action: &pb::Action) -> Result<Transferred, TransferError> {
        let path = &action.path;
        let destination = &self.destination;
        match &action.kind {
            Some(Kind::MakeFolder(_)) => destination.make_folder(path).await?,
            Some(Kind::Move(from)) => destination.relocate(&from.from, path).await?,
            Some(Kind::PutContent(content)) => {
                let done = self.transfers.put(destination.as_ref(), &action.item_id, path, content).await?;
                self.passing_failures.store(0, Ordering::Relaxed);
                return Ok(done);
            }
            Some(Kind::SetTimes(times)) => {
                if let Some(modified) = times.modified_time.as_ref().and_then(Timestamp::from_proto) {
                    destination.set_modified(path, modified).await?;
                }
            }
            Some(Kind::DeleteFile(_)) => destination.delete_file(path).await?,
            Some(Kind::DeleteFolder(_)) => destination.delete_folder(path).await?,
            None => return Err(DestinationError::UnknownAction { path: path.join("/") }.into()),
        }
        Ok(Transferred::default())
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
