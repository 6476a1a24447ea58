//! What a new drive looks like: everything follows from a seed and a few numbers.

use serde::{Deserialize, Serialize};

/// The most items a drive may be created with.
pub const MAX_ITEMS: u32 = 5_000_000;
/// The largest file, in bytes (250 GB, as the real service).
pub const MAX_FILE_BYTES: u64 = 250_000_000_000;

/// The kinds of drives, which differ in ids, tags and what the feed leaves out (graph-behaviour §12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DriveKind {
    /// OneDrive for Business.
    #[default]
    Business,
    /// OneDrive of a consumer account.
    Personal,
    /// A SharePoint document library.
    DocumentLibrary,
}

impl DriveKind {
    /// The word Graph uses in `driveType`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Personal => "personal",
            Self::DocumentLibrary => "documentLibrary",
        }
    }
}

/// How the items of a new drive are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameStyle {
    /// `file-000017.txt`
    #[default]
    Plain,
    /// Everything real drives hold: spaces, emoji, combining characters, `#`, `%`, leading dots, 200 characters, other scripts.
    Varied,
}

/// What a new drive looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriveSpec {
    /// Everything random is derived from this number.
    pub seed: u64,
    /// The kind of the drive.
    pub kind: DriveKind,
    /// User principal name or object id of the owner; none means the first user.
    pub owner: Option<String>,
    /// Number of files, not counting `big_files`.
    pub files: u32,
    /// Number of folders, not counting the root.
    pub folders: u32,
    /// Size of the largest of `files`, in bytes.
    pub max_file_bytes: u64,
    /// Further files of exactly these sizes, in bytes.
    pub big_files: Vec<u64>,
    /// How items are named.
    pub names: NameStyle,
}

impl Default for DriveSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            kind: DriveKind::Business,
            owner: None,
            files: 100,
            folders: 10,
            max_file_bytes: 64 * 1024,
            big_files: Vec::new(),
            names: NameStyle::Plain,
        }
    }
}

/// Why a drive was not created.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The owner is none of the configured users.
    #[error("no user is called {0:?}")]
    UnknownOwner(String),
    /// Too many items.
    #[error("a drive holds at most {MAX_ITEMS} items")]
    TooManyItems,
    /// A file is too large.
    #[error("a file is at most {MAX_FILE_BYTES} bytes")]
    FileTooLarge,
}

impl DriveSpec {
    /// Refuses numbers beyond the limits.
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        let big = u64::try_from(self.big_files.len()).unwrap_or(u64::MAX);
        let items = u64::from(self.files).saturating_add(u64::from(self.folders)).saturating_add(big);
        if items > u64::from(MAX_ITEMS) {
            return Err(SpecError::TooManyItems);
        }
        if self.max_file_bytes > MAX_FILE_BYTES || self.big_files.iter().any(|size| *size > MAX_FILE_BYTES) {
            return Err(SpecError::FileTooLarge);
        }
        Ok(())
    }
}
