//! Why a use case did not do what it was asked.

use std::time::Duration;

use crate::{
    domain::{
        action::ActionTokenError,
        names::{RunName, SourceName},
    },
    store::{StoreError, scratch::ScratchError},
};

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// No source has the name.
    #[error("no source is called {0}")]
    SourceNotFound(SourceName),
    /// A source has the name already.
    #[error("a source called {0} exists already")]
    SourceExists(SourceName),
    /// The source is suspended.
    #[error("{0} is suspended; update it first")]
    SourceSuspended(SourceName),
    /// Another worker has the source.
    #[error("another worker has {source_name} until its lease ends")]
    SourceLeased {
        /// The source.
        source_name: SourceName,
        /// When to ask again.
        retry_after: Duration,
    },
    /// No run has the name.
    #[error("no run is called {0}")]
    RunNotFound(RunName),
    /// The lease that the call carries is gone.
    #[error("the lease of {0} is gone: another worker has it, or the run has ended")]
    LeaseLost(RunName),
    /// The page does not follow the stored cursor.
    #[error("the page does not follow the stored cursor of {0}")]
    CursorMismatch(RunName),
    /// Pages are missing.
    #[error("the listing of {0} is not complete")]
    ListingIncomplete(RunName),
    /// The run holds no deletions, or is not the newest of its source.
    #[error("{0} holds no deletions back, or is not the newest run of its source")]
    NoDeletionsHeld(RunName),
    /// More deletions wait than were approved.
    #[error("{held} deletions wait, more than the {approved} approved")]
    MoreDeletionsHeld {
        /// How many wait.
        held: i64,
        /// How many were approved.
        approved: i64,
    },
    /// An outcome carries no token of ours.
    #[error("outcomes[{index}].token {error}")]
    BadActionToken {
        /// Which outcome.
        index: usize,
        /// What is wrong.
        error: ActionTokenError,
    },
    /// Findings come before those that they follow.
    #[error("findings of {0} are missing before these")]
    FindingsMissing(RunName),
    /// The run does not heal, or has verified already.
    #[error("{0} does not heal, or has verified already")]
    NotHealing(RunName),
    /// A copy of the index to try things out on cannot be made.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An action could not be encoded.
    #[error("an action could not be encoded")]
    Encode(#[source] ActionTokenError),
}
