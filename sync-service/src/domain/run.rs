//! Runs and how they end.

use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    activity::Activity,
    finding::FindingCounts,
    listing::ListingCause,
    outcome::Done,
    source::{RunKey, SourceKey},
};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// A worker has it, or had it and died.
    Running,
    /// The destination equals the drive.
    Succeeded,
    /// All is done but some items.
    Partial,
    /// It stopped early and is tried again.
    Failed,
    /// A person must act.
    NeedsPerson,
    /// Somebody cancelled it.
    Cancelled,
}

/// What a run is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Make the destination equal to the drive.
    Sync,
    /// Find out what that would change.
    Plan,
    /// Compare the destination with what the index says it has.
    Verify,
    /// The same, and then make the destination equal to the drive again.
    Heal,
}

impl RunKind {
    /// Whether it changes nothing but what is known of itself.
    pub fn looks_only(self) -> bool {
        match self {
            Self::Plan | Self::Verify => true,
            Self::Sync | Self::Heal => false,
        }
    }
}

/// Which part of the work a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Reading the drive's changes.
    Listing,
    /// Changing the destination, or finding out what would be changed.
    Applying,
    /// Waiting for a worker.
    Waiting,
    /// Comparing the destination with what it should have.
    Verifying,
}

/// How a worker says its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishState {
    /// Listing complete, every possible action done.
    Completed,
    /// Stopped early, may be tried again.
    Failed,
    /// A person must act.
    NeedsPerson,
    /// Asked to stop.
    Cancelled,
}

/// Reason of a run whose deletions the brake held back.
pub const DELETIONS_NEED_APPROVAL: &str = "DELETIONS_NEED_APPROVAL";

/// Reason of a run that could not finish every item.
pub const ITEMS_LEFT: &str = "ITEMS_LEFT";

/// Reason of a run whose worker was told to end before the work was done: no failure of the source.
pub const WORKER_STOPPED: &str = "WORKER_STOPPED";

/// Reason of a run that was asked for and whose source was suspended before it began.
pub const SOURCE_SUSPENDED: &str = "SOURCE_SUSPENDED";

/// Reason of a run that somebody cancelled.
pub const CANCELLED: &str = "CANCELLED";

/// Reason of a run whose worker said it was complete although its listing was not.
pub const LISTING_INCOMPLETE: &str = "LISTING_INCOMPLETE";

/// A run as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The store's key.
    pub key: RunKey,
    /// Whose run it is.
    pub source: SourceKey,
    /// Last segment of its name; later runs sort behind earlier ones.
    pub id: ResourceId,
    /// What it is to do.
    pub kind: RunKind,
    /// How it stands.
    pub state: RunState,
    /// Which part of the work it is at.
    pub phase: RunPhase,
    /// Machine-readable reason where it did not succeed.
    pub reason: String,
    /// One sentence for people that goes with it.
    pub detail: String,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// Whether its listing is complete.
    pub listing_complete: bool,
    /// Why it lists what it lists.
    pub listing: ListingCause,
    /// What it did.
    pub counts: Counts,
    /// How much it found, where it only looks.
    pub findings: FindingCounts,
    /// What its worker is at.
    pub activity: Activity,
    /// When it started.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
}

impl Run {
    /// Whether what is left of it is to make the destination equal to the drive.
    pub fn mirrors(&self) -> bool {
        match self.kind {
            RunKind::Sync => true,
            RunKind::Heal => matches!(self.phase, RunPhase::Listing | RunPhase::Applying),
            RunKind::Plan | RunKind::Verify => false,
        }
    }

    /// Ends a run that no worker has taken.
    pub fn cancel(&mut self, now: Timestamp) {
        self.cancel_requested = true;
        self.state = RunState::Cancelled;
        CANCELLED.clone_into(&mut self.reason);
        self.end_time = Some(now);
    }
}

/// Something at the destination that is not the drive's, and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Machine-readable reason.
    pub reason: String,
    /// Where it lies now.
    pub path: String,
    /// One sentence for people.
    pub detail: String,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages stored.
    pub pages: i64,
    /// Items on those.
    pub items_listed: i64,
    /// What was done at the destination.
    pub done: Done,
    /// Items that failed and were not mended since.
    pub items_failed: i64,
    /// Files to transfer, as known now.
    pub files_planned: i64,
    /// Bytes of those.
    pub bytes_planned: i64,
    /// Deletions held back.
    pub deletions_held: i64,
    /// Files and folders that are not the drive's, which the run came upon and kept.
    pub local_kept: i64,
    /// What the present worker reported.
    pub effort: Effort,
    /// What the workers before it reported.
    pub effort_before: Effort,
}

/// What a worker spent since it took its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Graph requests sent.
    pub graph_requests: i64,
    /// Bytes received, whole files or not.
    pub bytes_received: i64,
}

/// What is left when a worker says that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder {
    /// Whether the listing of this run is complete.
    pub listing_complete: bool,
    /// Items that still differ, held deletions not counted.
    pub items_left: i64,
    /// Deletions that the brake holds back.
    pub deletions_held: i64,
}

/// The state a run ends in, with the reason that goes with it where the worker gave none. A worker's word alone never makes a run
/// succeed: the index must agree.
pub fn final_state(finish: FinishState, left: Remainder) -> (RunState, &'static str) {
    match finish {
        FinishState::Failed => (RunState::Failed, ""),
        FinishState::NeedsPerson => (RunState::NeedsPerson, ""),
        FinishState::Cancelled => (RunState::Cancelled, CANCELLED),
        FinishState::Completed if !left.listing_complete => (RunState::Failed, LISTING_INCOMPLETE),
        FinishState::Completed if left.deletions_held > 0 => (RunState::NeedsPerson, DELETIONS_NEED_APPROVAL),
        FinishState::Completed if left.items_left > 0 => (RunState::Partial, ITEMS_LEFT),
        FinishState::Completed => (RunState::Succeeded, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(listing_complete: bool, items_left: i64, deletions_held: i64) -> Remainder {
        Remainder { listing_complete, items_left, deletions_held }
    }

    #[test]
    fn a_run_succeeds_only_when_nothing_is_left() {
        let state = |remainder| final_state(FinishState::Completed, remainder).0;
        assert_eq!(state(left(true, 0, 0)), RunState::Succeeded);
        assert_eq!(state(left(true, 1, 0)), RunState::Partial);
        assert_eq!(state(left(true, 0, 1)), RunState::NeedsPerson);
        assert_eq!(state(left(false, 0, 0)), RunState::Failed);
    }
}
