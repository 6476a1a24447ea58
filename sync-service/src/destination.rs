//! Where files go: one small trait, a folder of this machine first.

mod error;
mod intent;
mod kept;
mod local_folder;
mod marker;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
pub use error::DestinationError;
pub use intent::{Change, Intent, Made};
pub use kept::{Kept, KeptReason};
pub use local_folder::{
    DEFAULT_BIN_RETENTION, DEFAULT_RESERVE, Entered, Extra, Inspected, LocalFolder, LocalFolderOptions,
    Names, Onlooker, OpenFolder, Place, STAGING_FOLDER, Unlike,
};
pub use marker::Marker;
use service_kit::clock::Timestamp;

use crate::domain::baseline::Baseline;

/// A place that a drive is mirrored to. Paths are safe segments below its root, as the service made them.
///
/// Every change may be done twice: what is already as wanted is a success. What is not what Sluice put there is never overwritten and
/// never deleted: it is kept, under another name where it was in the way, and the caller is told.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Whether it takes names that differ in case or Unicode form only for one.
    fn folds_names(&self) -> bool;

    /// Makes a folder; its parent is there.
    async fn make_folder(&self, path: &[String]) -> Result<Vec<Kept>, DestinationError>;

    /// Renames or moves a file or folder, never onto something. With `expected`, only a file that is as it was put there.
    ///
    /// # Errors
    /// [`DestinationError::Missing`] when neither end has it, [`DestinationError::SetAside`] when it is not the file that was expected.
    async fn relocate(
        &self,
        from: &[String],
        to: &[String],
        expected: Option<&Baseline>,
    ) -> Result<Vec<Kept>, DestinationError>;

    /// Sets room aside for a file of so many bytes, until what it gives is dropped. What is in the bin makes way.
    ///
    /// # Errors
    /// [`DestinationError::Full`] when less would stay free than is to.
    async fn take_room(&self, bytes: u64) -> Result<Room, DestinationError>;

    /// Starts a file beside its place. Nothing is visible at the place until it is finished.
    async fn begin_file(&self) -> Result<Box<dyn NewFile>, DestinationError>;

    /// Opens a file that is written in parts, beside its place, with the note that was left with it: none for a new one. The key is
    /// letters and digits; one worker at a time uses it.
    async fn open_parts(&self, key: &str) -> Result<(Box<dyn PartFile>, Option<Vec<u8>>), DestinationError>;

    /// Removes files written in parts that nobody will go on with: all but those of these keys.
    async fn keep_parts(&self, keys: HashSet<String>) -> Result<(), DestinationError>;

    /// Sets the modification time of a file that is as it was put there. Gives the time that the destination keeps.
    ///
    /// # Errors
    /// [`DestinationError::Missing`] when it is not there, [`DestinationError::SetAside`] when it is not the file that was expected.
    async fn set_modified(
        &self,
        path: &[String],
        modified: Timestamp,
        expected: &Baseline,
    ) -> Result<Baseline, DestinationError>;

    /// Deletes a file that is as it was put there.
    async fn delete_file(&self, path: &[String], expected: &Baseline) -> Result<Vec<Kept>, DestinationError>;

    /// Deletes an empty folder. One that holds something that the drive never had stays, and is nobody's but its owner's.
    async fn delete_folder(&self, path: &[String]) -> Result<Vec<Kept>, DestinationError>;

    /// Removes what was kept for its time, at a bounded cost; what is left over is removed next time.
    async fn tidy(&self) -> Result<(), DestinationError>;

    /// Returns when everything done so far survives a loss of power.
    async fn flush(&self) -> Result<(), DestinationError>;

    /// Notes, durably, every change that is about to be made or was made and is not reported yet, instead of those noted before.
    ///
    /// With this, whoever comes after a worker that died can tell what it did, whatever the drive says by then.
    async fn announce(&self, intents: &[Intent]) -> Result<(), DestinationError>;

    /// The announced changes that were made, as far as looking tells; they are durable by then.
    async fn made(&self) -> Result<Vec<Made>, DestinationError>;
}

/// Room for a file, until it is dropped.
#[derive(Debug)]
pub struct Room {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

impl Room {
    /// Takes so many bytes of what is counted in `taken`.
    pub fn take(taken: &Arc<AtomicU64>, bytes: u64) -> Self {
        taken.fetch_add(bytes, Ordering::Relaxed);
        Self { taken: Arc::clone(taken), bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How a new file is put in place.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Modification time to set.
    pub modified: Option<Timestamp>,
    /// `quickXorHash` of the new bytes, in base64.
    pub hash: String,
    /// The file that is replaced; `None` where nothing of ours lies there.
    pub expected: Option<Baseline>,
    /// What is replaced is gone from the drive: replacing deletes it.
    pub deletes_replaced: bool,
}

/// What came of putting a file in place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The file as the destination keeps it.
    pub file: Baseline,
    /// What was in the way.
    pub kept: Vec<Kept>,
}

/// A file that is written in parts, in any order, by one worker after another. Dropped before it is complete, it stays for the next.
#[async_trait]
pub trait PartFile: Send + Sync {
    /// Writes bytes at an offset. Those of one call and another may be under way at once.
    async fn write_at(&self, offset: u64, bytes: Bytes) -> Result<(), DestinationError>;

    /// Makes what was written durable, and then leaves a note of it for whoever goes on. It replaces the note before.
    async fn note(&self, note: Vec<u8>) -> Result<(), DestinationError>;

    /// Every byte is written: from here on it is a new file like others.
    async fn complete(self: Box<Self>) -> Result<Box<dyn NewFile>, DestinationError>;

    /// Removes the file and its note.
    async fn discard(self: Box<Self>) -> Result<(), DestinationError>;
}

/// A file that is being written. Dropped before it is finished, it leaves nothing behind.
#[async_trait]
pub trait NewFile: Send {
    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), DestinationError>;

    /// Puts the whole file at its place, durable. It replaces the file that is expected there: readers see the old one or the new one.
    async fn finish(
        self: Box<Self>,
        path: &[String],
        placement: Placement,
    ) -> Result<Placed, DestinationError>;
}
