//! What can go wrong at a destination, and whether it concerns one item or everything.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

use super::Kept;
use crate::ops::report_outcomes::DESTINATION_FULL;

const MIB: u64 = 1024 * 1024;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// Not what is expected there: another source's folder, an unmounted disk, somebody's files.
    #[error("{path} {what}", path = path.display())]
    Refused {
        /// Short reason for machines.
        reason: &'static str,
        /// The destination's root.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// Another worker of this machine uses the destination.
    #[error("{path} is in use by another worker", path = path.display())]
    Busy {
        /// The destination's root.
        path: PathBuf,
    },
    /// What was to be renamed is not there.
    #[error("{path} is not at the destination")]
    Missing {
        /// Path below the root.
        path: String,
    },
    /// The folder that something was to be put into is not there.
    #[error("the folder of {path} is not at the destination")]
    ParentMissing {
        /// Path below the root.
        path: String,
    },
    /// Files do not fit without using up the space that is to stay free.
    #[error("{files} files do not fit and leave {} MiB free; make room, or lower the reserve", reserve / MIB)]
    Full {
        /// How many.
        files: u64,
        /// Bytes that are to stay free.
        reserve: u64,
    },
    /// Something else is at the place.
    #[error("{path} is taken by something that is not the drive's")]
    Taken {
        /// Path below the root.
        path: String,
    },
    /// The file that was to be changed is not the one that Sluice put there; it is kept, and nothing of the drive's is there any more.
    #[error("{path} was changed here and is kept under another name")]
    SetAside {
        /// Path below the root.
        path: String,
        /// Where it lies now.
        kept: Kept,
    },
    /// The service asked for something that this version does not know.
    #[error("{path}: the service asks for something that this version cannot do")]
    UnknownAction {
        /// Path below the root.
        path: String,
    },
    /// The system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// Path below the root, or the root.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl DestinationError {
    /// Short reason for machines.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { reason, .. } => reason,
            Self::Busy { .. } => "DESTINATION_BUSY",
            Self::Missing { .. } | Self::SetAside { .. } => crate::ops::report_outcomes::NOT_AT_DESTINATION,
            Self::ParentMissing { .. } => crate::ops::report_outcomes::FOLDER_NOT_AT_DESTINATION,
            Self::Full { .. } => DESTINATION_FULL,
            Self::Taken { .. } => "PLACE_TAKEN",
            Self::UnknownAction { .. } => "UNKNOWN_ACTION",
            Self::Io { source, .. } => io_reason(source.kind()),
        }
    }

    /// Whether going on with other items makes no sense.
    pub fn stops_the_run(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Busy { .. } => true,
            Self::Missing { .. }
            | Self::ParentMissing { .. }
            | Self::Full { .. }
            | Self::Taken { .. }
            | Self::SetAside { .. }
            | Self::UnknownAction { .. } => false,
            Self::Io { source, .. } => source.kind() == ErrorKind::ReadOnlyFilesystem,
        }
    }

    /// Whether there is no room for it. What needs no room, moves and deletions, can still be done.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::Refused { .. }
            | Self::Busy { .. }
            | Self::Missing { .. }
            | Self::ParentMissing { .. }
            | Self::Taken { .. }
            | Self::SetAside { .. }
            | Self::UnknownAction { .. } => false,
        }
    }

    /// Whether only a person can mend it.
    pub fn needs_person(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
            }
            Self::Busy { .. }
            | Self::Missing { .. }
            | Self::ParentMissing { .. }
            | Self::Full { .. }
            | Self::Taken { .. }
            | Self::SetAside { .. }
            | Self::UnknownAction { .. } => false,
        }
    }
}

fn io_reason(kind: ErrorKind) -> &'static str {
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        DESTINATION_FULL
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        "DESTINATION_READ_ONLY"
    } else if kind == ErrorKind::PermissionDenied {
        "DESTINATION_DENIED"
    } else {
        "DESTINATION_FAILED"
    }
}
