//! A big file that is written in parts, by one worker after another if workers die.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::{Dir, OpenOptions};

use super::{LocalFolder, found, new_file};
use crate::{
    destination::{DestinationError, NewFile, PartFile},
    domain::local_name::OWN_FOLDER,
};

/// Inside [`OWN_FOLDER`]: files written in parts, and beside each a note of how far it is.
const PARTS_FOLDER: &str = "parts";

/// Largest note that is read, in bytes.
const MAX_NOTE_BYTES: u64 = 1024 * 1024;

/// Opens the file of this key, with the note that was left beside it; none for a new file.
pub(super) async fn open(
    folder: &LocalFolder,
    key: &str,
) -> Result<(Box<dyn PartFile>, Option<Vec<u8>>), DestinationError> {
    let path = [OWN_FOLDER.to_owned(), PARTS_FOLDER.to_owned(), key.to_owned()];
    let (file, note) = folder
        .run("open the parts of", &path, |inner, path| {
            inner.root.create_dir_all(Path::new(OWN_FOLDER).join(PARTS_FOLDER))?;
            let note = read_note(&inner.root, &note_of(path))?;
            // Without a note nothing in the file counts.
            let options = OpenOptions::new().write(true).create(true).truncate(note.is_none()).clone();
            Ok((inner.root.open_with(path, &options)?.into_std(), note))
        })
        .await?;
    let path = path.iter().collect();
    Ok((Box::new(LocalParts { folder: folder.clone(), file: Arc::new(file), path }), note))
}

/// Removes every file but those of these keys.
pub(super) fn keep_only(root: &Dir, keys: &HashSet<String>) -> io::Result<()> {
    let parts = match root.open_dir(Path::new(OWN_FOLDER).join(PARTS_FOLDER)) {
        Ok(parts) => parts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in parts.entries()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = name.split_once('.').map_or(name.as_str(), |(key, _)| key);
        if !keys.contains(key) {
            entry.remove_file()?;
        }
    }
    Ok(())
}

fn read_note(root: &Dir, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match root.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut note = Vec::new();
    file.take(MAX_NOTE_BYTES).read_to_end(&mut note)?;
    Ok(Some(note))
}

fn note_of(path: &Path) -> PathBuf {
    path.with_extension("note")
}

struct LocalParts {
    folder: LocalFolder,
    file: Arc<File>,
    path: PathBuf,
}

impl LocalParts {
    async fn run(
        &self,
        what: &'static str,
        operation: impl FnOnce(&Dir, &File, &Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), DestinationError> {
        let file = Arc::clone(&self.file);
        let path = [self.path.to_string_lossy().into_owned()];
        self.folder.run(what, &path, move |inner, path| operation(&inner.root, &file, path)).await
    }
}

#[async_trait]
impl PartFile for LocalParts {
    async fn write_at(&self, offset: u64, bytes: Bytes) -> Result<(), DestinationError> {
        self.run("write", move |_, file, _| file.write_all_at(&bytes, offset)).await
    }

    async fn note(&self, note: Vec<u8>) -> Result<(), DestinationError> {
        self.run("note the parts of", move |root, file, path| {
            // Before the note says so, it must be true, also after a loss of power.
            file.sync_data()?;
            let (note_path, next) = (note_of(path), path.with_extension("next"));
            let mut next_file = root.create(&next)?;
            next_file.write_all(&note)?;
            next_file.sync_data()?;
            root.rename(&next, root, &note_path)
        })
        .await
    }

    async fn complete(self: Box<Self>) -> Result<Box<dyn NewFile>, DestinationError> {
        let file = self.file.try_clone().map_err(|source| DestinationError::Io {
            what: "complete",
            path: self.path.to_string_lossy().into_owned(),
            source,
        })?;
        let note = note_of(&self.path);
        Ok(new_file::resumed(&self.folder, file, self.path, note))
    }

    async fn discard(self: Box<Self>) -> Result<(), DestinationError> {
        self.run("remove", |root, _, path| {
            // The note first: without it the file counts for nothing.
            found(root.remove_file(note_of(path)))?;
            found(root.remove_file(path)).map(|_| ())
        })
        .await
    }
}
