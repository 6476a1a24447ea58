//! What runs find that were asked for.

use proto::sync::v1 as sync;
use serde::Serialize;

use super::{filled, without_prefix};

/// Something that a run found that only looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of a plan `MAKE_FOLDER`, `MOVE`, `TRANSFER`, `SET_TIME`, `DELETE`, `KEEP` or `LEAVE`; of a verification `MISSING`, `CHANGED`,
    /// `EXTRA`, `WRONG_KIND` or `UNVERIFIABLE`.
    pub kind: String,
    /// Where, at the destination.
    pub path: String,
    /// Where it is now, of what would be moved.
    pub from_path: Option<String>,
    /// Bytes of the file.
    pub size: i64,
    /// Machine-readable reason.
    pub reason: Option<String>,
    /// One sentence that goes with the reason.
    pub detail: Option<String>,
}

impl From<sync::Finding> for Finding {
    fn from(proto: sync::Finding) -> Self {
        Self {
            kind: without_prefix(proto.kind().as_str_name(), "FINDING_KIND_"),
            path: proto.path,
            from_path: filled(proto.from_path),
            size: proto.size,
            reason: filled(proto.reason),
            detail: filled(proto.detail),
        }
    }
}

/// How much of one kind was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingCount {
    /// As in [`Finding`].
    pub kind: String,
    /// How many.
    pub items: i64,
    /// Their bytes.
    pub bytes: i64,
}

impl From<sync::FindingCount> for FindingCount {
    fn from(proto: sync::FindingCount) -> Self {
        let kind = without_prefix(proto.kind().as_str_name(), "FINDING_KIND_");
        Self { kind, items: proto.items, bytes: proto.bytes }
    }
}
