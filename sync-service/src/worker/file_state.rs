//! Files at the destination, and what was kept there, as the service says and hears them.

use proto::sync::v1 as pb;
use service_kit::clock::Timestamp;

use crate::{destination::Kept, domain::baseline::Baseline};

/// The file that an action expects. Where it says nothing, no file there is ours.
pub(super) fn expected(file: Option<&pb::FileState>) -> Option<Baseline> {
    file.map(|file| Baseline {
        size: file.size,
        modified: file.modified_time.as_ref().and_then(Timestamp::from_proto),
        hash: Some(file.quick_xor_hash.clone()).filter(|hash| !hash.is_empty()),
    })
}

/// The file as the destination keeps it.
pub(super) fn found(file: Baseline) -> pb::FileState {
    pb::FileState {
        size: file.size,
        modified_time: file.modified.map(Timestamp::to_proto),
        quick_xor_hash: file.hash.unwrap_or_default(),
    }
}

/// What was kept.
pub(super) fn notice(kept: &Kept) -> pb::Notice {
    pb::Notice { reason: kept.reason().to_owned(), path: kept.path.join("/"), detail: kept.detail() }
}
