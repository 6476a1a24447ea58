//! A file that is being written beside its place.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

use super::{Inner, LocalFolder, found, keep::segments, parent_missing, set_modified, spot};
use crate::{
    destination::{DestinationError, NewFile, Placed, Placement},
    domain::baseline::Baseline,
};

/// Starts a file in the temporary folder.
pub(super) async fn begin(folder: &LocalFolder) -> Result<Box<dyn NewFile>, DestinationError> {
    let path = segments(&folder.inner.temporary_path());
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
        placement: Placement,
    ) -> Result<Placed, DestinationError> {
        self.file.flush().await.map_err(|source| self.failed("write", source))?;
        let file =
            self.file.try_clone().await.map_err(|source| self.failed("write", source))?.into_std().await;
        let (from, note) = (self.temporary.path.clone(), self.temporary.note.clone());
        let placed = self
            .folder
            .run("put in place", path, move |inner, path| {
                if let Some(modified) = placement.modified {
                    set_modified(&file, modified)?;
                }
                file.sync_all()?;
                // From here on other bytes may lie under the name of the parts.
                if let Some(note) = note {
                    found(inner.root.remove_file(note))?;
                }
                let written = cap_std::fs::Metadata::from_file(&file)?;
                let mut kept = Vec::new();
                if !inner.put_in_place(&from, path, &placement, &mut kept)? {
                    return Ok(None);
                }
                let file = Baseline {
                    size: i64::try_from(written.len()).ok(),
                    modified: Some(spot::modified(&written)),
                    hash: Some(placement.hash),
                };
                Ok(Some(Placed { file, kept }))
            })
            .await
            .map_err(parent_missing)?;
        placed.ok_or_else(|| DestinationError::Taken { path: path.join("/") })
    }
}

impl LocalFile {
    fn failed(&self, what: &'static str, source: io::Error) -> DestinationError {
        DestinationError::Io { what, path: self.temporary.path.to_string_lossy().into_owned(), source }
    }
}
