//! What a run finds that only looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A folder would be made.
    MakeFolder,
    /// Something would be moved or renamed.
    Move,
    /// A content would be transferred.
    Transfer,
    /// A modification time would be set.
    SetTime,
    /// Something would be deleted.
    Delete,
    /// Something that is not the drive's would be kept under another name.
    Keep,
    /// It differs and would stay as it is.
    Leave,
    /// A file or folder of the drive's is not there.
    Missing,
    /// A file has other bytes than were put there.
    Changed,
    /// Something is there that is not the drive's.
    Extra,
    /// Something else is where a file or a folder of the drive's should be.
    WrongKind,
    /// It cannot be told.
    Unverifiable,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Where, at the destination.
    pub path: String,
    /// Where it is now, of what would be moved.
    pub from_path: String,
    /// Bytes of the file.
    pub size: i64,
    /// Machine-readable reason.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
}

/// How much of one kind was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCount {
    /// How many.
    pub items: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// How much was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingCounts(pub BTreeMap<FindingKind, FindingCount>);

impl FindingCounts {
    /// Counts one more.
    pub fn add(&mut self, finding: &Finding) {
        let count = self.0.entry(finding.kind).or_default();
        count.items += 1;
        count.bytes = count.bytes.saturating_add(finding.size);
    }

    /// How many in all: also the number that the next one gets.
    pub fn items(&self) -> i64 {
        self.0.values().map(|count| count.items).sum()
    }
}
