//! An action, and the token that travels with it so that its outcome can be stored whatever the drive said meanwhile.

use serde::{Deserialize, Serialize};
use service_kit::clock::Timestamp;

use super::baseline::Baseline;

/// One change of the destination, ready to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The drive item.
    pub item_id: String,
    /// Where, as safe segments below the destination's root.
    pub path: Vec<String>,
    /// What to do.
    pub step: Step,
    /// What will be applied once it is done.
    pub token: ActionToken,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a folder.
    MakeFolder,
    /// Rename or move from here.
    Move {
        /// Where it is now.
        from: Vec<String>,
        /// The file that is expected there, where it matters.
        expected: Option<Baseline>,
    },
    /// Put content in place.
    PutContent {
        /// Listed size in bytes.
        size: i64,
        /// Listed `quickXorHash` in base64, if any.
        hash: Option<String>,
        /// Modification time to set.
        modified: Option<Timestamp>,
        /// The `eTag` it was listed with.
        e_tag: String,
        /// The file that it replaces.
        expected: Option<Baseline>,
        /// Whether that is of an item that is gone from the drive.
        deletes_replaced: bool,
    },
    /// Set the modification time.
    SetTimes {
        /// The time.
        modified: Timestamp,
        /// The file that it is set on.
        expected: Baseline,
    },
    /// Delete a file.
    DeleteFile {
        /// The file.
        expected: Baseline,
    },
    /// Delete a folder that holds nothing of the drive's.
    DeleteFolder,
}

/// What the destination has of the item once the action is done. Opaque to workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum ActionToken {
    /// A folder lies here.
    Folder {
        /// Applied parent.
        parent: String,
        /// Applied name.
        name: String,
    },
    /// It lies here now, otherwise unchanged.
    Moved {
        /// Applied parent.
        parent: String,
        /// Applied name.
        name: String,
    },
    /// A file with this content lies here.
    Content {
        /// Applied parent.
        parent: String,
        /// Applied name.
        name: String,
        /// Content version.
        version: String,
        /// Modification time, in milliseconds since the epoch.
        modified: Option<i64>,
        /// A file of another item that lay at this place and is thereby gone.
        replaces: Option<String>,
    },
    /// The time is set, in milliseconds since the epoch.
    Times {
        /// The time.
        modified: i64,
    },
    /// Nothing is left of it.
    Deleted,
}

/// The bytes are no action token of this version.
#[derive(Debug, thiserror::Error)]
#[error("is no token of an action")]
pub struct ActionTokenError(#[source] serde_json::Error);

impl ActionToken {
    /// The form that travels.
    ///
    /// # Errors
    /// Never with the variants above; the encoder's signature allows for it.
    pub fn encode(&self) -> Result<Vec<u8>, ActionTokenError> {
        serde_json::to_vec(self).map_err(ActionTokenError)
    }

    /// Reads the form that travels.
    ///
    /// # Errors
    /// When the bytes are no such token.
    pub fn decode(bytes: &[u8]) -> Result<Self, ActionTokenError> {
        serde_json::from_slice(bytes).map_err(ActionTokenError)
    }
}
