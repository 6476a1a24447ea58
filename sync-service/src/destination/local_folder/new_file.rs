//! A file that is being written beside its place.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::OpenOptions;
use service_kit::clock::Timestamp;
use tokio::io::AsyncWriteExt as _;

use super::{Inner, LocalFolder, TEMPORARY_FOLDER, parent_missing, set_modified};
use crate::{
    destination::{DestinationError, NewFile},
    domain::local_name::OWN_FOLDER,
};

/// Starts a file in the temporary folder.
pub(super) async fn begin(folder: &LocalFolder) -> Result<Box<dyn NewFile>, DestinationError> {
    let number = folder.inner.next_temporary.fetch_add(1, Ordering::Relaxed);
    let path = [OWN_FOLDER.to_owned(), TEMPORARY_FOLDER.to_owned(), number.to_string()];
    let file = folder
        .run("start a file in", &path, |inner, path| {
            let file = inner.root.open_with(path, OpenOptions::new().write(true).create_new(true))?;
            Ok(file.into_std())
        })
        .await?;
    let temporary = Temporary { inner: Arc::clone(&folder.inner), path: path.iter().collect(), note: None };
    Ok(Box::new(LocalFile { folder: folder.clone(), file: tokio::fs::File::from_std(file), temporary }))
}

/// Goes on with a file that was written in parts; `note` goes when it goes or has its place.
pub(super) fn resumed(folder: &LocalFolder, file: File, path: PathBuf, note: PathBuf) -> Box<dyn NewFile> {
    let temporary = Temporary { inner: Arc::clone(&folder.inner), path, note: Some(note) };
    Box::new(LocalFile { folder: folder.clone(), file: tokio::fs::File::from_std(file), temporary })
}

/// A file in the temporary folder, removed when dropped before it got its place.
struct Temporary {
    inner: Arc<Inner>,
    path: PathBuf,
    /// Says how far the file is; worth nothing without it.
    note: Option<PathBuf>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Already renamed is the good case; what else remains is removed when the destination is opened next.
        if let Some(note) = &self.note {
            drop(self.inner.root.remove_file(note));
        }
        drop(self.inner.root.remove_file(&self.path));
    }
}

struct LocalFile {
    folder: LocalFolder,
    file: tokio::fs::File,
    temporary: Temporary,
}

#[async_trait]
impl NewFile for LocalFile {
    async fn write(&mut self, bytes: Bytes) -> Result<(), DestinationError> {
        self.file.write_all(&bytes).await.map_err(|source| self.failed("write", source))
    }

    async fn finish(
        mut self: Box<Self>,
        path: &[String],
        modified: Option<Timestamp>,
    ) -> Result<(), DestinationError> {
        self.file.flush().await.map_err(|source| self.failed("write", source))?;
        let file =
            self.file.try_clone().await.map_err(|source| self.failed("write", source))?.into_std().await;
        let from = self.temporary.path.clone();
        self.folder
            .run("put in place", path, move |inner, path| {
                if let Some(modified) = modified {
                    set_modified(&file, modified)?;
                }
                file.sync_all()?;
                inner.root.rename(&from, &inner.root, path)?;
                inner.touch(path);
                Ok(())
            })
            .await
            .map_err(taken_or_no_parent)
    }
}

impl LocalFile {
    fn failed(&self, what: &'static str, source: io::Error) -> DestinationError {
        DestinationError::Io { what, path: self.temporary.path.to_string_lossy().into_owned(), source }
    }
}

/// What is in the way of a file is a folder, or the folder that it belongs into is not there.
fn taken_or_no_parent(error: DestinationError) -> DestinationError {
    if let DestinationError::Io { path, source, .. } = &error
        && source.kind() == ErrorKind::IsADirectory
    {
        return DestinationError::Taken { path: path.clone() };
    }
    parent_missing(error)
}
