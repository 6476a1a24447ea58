//! Where files go: one small trait, a folder of this machine first.

mod error;
mod intent;
mod local_folder;
mod marker;

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
pub use error::DestinationError;
pub use intent::{Change, Intent};
pub use local_folder::LocalFolder;
pub use marker::Marker;
use service_kit::clock::Timestamp;

/// A place that a drive is mirrored to. Paths are safe segments below its root, as the service made them.
///
/// Every change may be done twice: what is already as wanted is a success.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Makes a folder; its parent is there.
    async fn make_folder(&self, path: &[String]) -> Result<(), DestinationError>;

    /// Renames or moves a file or folder, never onto something.
    ///
    /// # Errors
    /// [`DestinationError::Missing`] when neither end has it, [`DestinationError::Taken`] when both ends have something.
    async fn relocate(&self, from: &[String], to: &[String]) -> Result<(), DestinationError>;

    /// Starts a file beside its place. Nothing is visible at the place until it is finished.
    async fn begin_file(&self) -> Result<Box<dyn NewFile>, DestinationError>;

    /// Opens a file that is written in parts, beside its place, with the note that was left with it: none for a new one. The key is
    /// letters and digits; one worker at a time uses it.
    async fn open_parts(&self, key: &str) -> Result<(Box<dyn PartFile>, Option<Vec<u8>>), DestinationError>;

    /// Removes files written in parts that nobody will go on with: all but those of these keys.
    async fn keep_parts(&self, keys: HashSet<String>) -> Result<(), DestinationError>;

    /// Sets the modification time of a file.
    async fn set_modified(&self, path: &[String], modified: Timestamp) -> Result<(), DestinationError>;

    /// Deletes a file.
    async fn delete_file(&self, path: &[String]) -> Result<(), DestinationError>;

    /// Deletes an empty folder.
    ///
    /// # Errors
    /// [`DestinationError::NotEmpty`] when it holds something that the drive never had.
    async fn delete_folder(&self, path: &[String]) -> Result<(), DestinationError>;

    /// Returns when everything done so far survives a loss of power.
    async fn flush(&self) -> Result<(), DestinationError>;

    /// Notes, durably, every change that is about to be made or was made and is not reported yet, instead of those noted before.
    ///
    /// With this, whoever comes after a worker that died can tell what it did, whatever the drive says by then.
    async fn announce(&self, intents: &[Intent]) -> Result<(), DestinationError>;

    /// The announced changes that were made, as far as looking tells; they are durable by then.
    async fn made(&self) -> Result<Vec<Intent>, DestinationError>;
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

    /// Puts the whole file at its place, durable, replacing a file that is there: readers see the old one or the new one.
    async fn finish(
        self: Box<Self>,
        path: &[String],
        modified: Option<Timestamp>,
    ) -> Result<(), DestinationError>;
}
