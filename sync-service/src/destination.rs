//! Where files go: one small trait, a folder of this machine first.

mod error;
mod intent;
mod local_folder;
mod marker;

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
