//! What a worker is about to do, kept at the destination while nobody else knows whether it is done.

use serde::{Deserialize, Serialize};
use service_kit::clock::Timestamp;

use crate::domain::baseline::Baseline;

/// One change that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The drive item.
    pub item_id: String,
    /// What goes back to the service once it is made; opaque.
    #[serde(with = "in_base64")]
    pub token: Vec<u8>,
    /// Where, as segments below the root.
    pub path: Vec<String>,
    /// What.
    pub change: Change,
}

/// What is to change, with what it takes to see later whether it did. Times are in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Change {
    /// A folder is made.
    MakeFolder,
    /// A file or folder comes from here.
    Move {
        /// Segments below the root.
        from: Vec<String>,
    },
    /// A file is put in place.
    PutContent {
        /// Listed size in bytes.
        size: i64,
        /// The `quickXorHash` that its bytes have, in base64; `None` where the drive gave none, or gives other bytes than it lists.
        hash: Option<String>,
        /// Its modification time.
        modified: Option<i64>,
        /// The file that it replaces.
        #[serde(default)]
        expected: Option<Baseline>,
    },
    /// A file's modification time is set.
    SetTimes {
        /// The time.
        modified: i64,
    },
    /// A file or folder is deleted.
    Delete,
}

impl Change {
    /// Puts a file in place; see [`Change::PutContent`].
    pub fn put_content(
        size: i64,
        hash: Option<String>,
        modified: Option<Timestamp>,
        expected: Option<Baseline>,
    ) -> Self {
        Self::PutContent { size, hash, modified: modified.map(Timestamp::as_millis), expected }
    }
}

/// An announced change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The change.
    pub intent: Intent,
    /// The file as the destination keeps it, after a change of a file's content or time.
    pub file: Option<Baseline>,
}

mod in_base64 {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
