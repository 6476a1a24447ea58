//! A folder of this machine.
//!
//! Every access goes through a handle of the root that refuses to leave it (`cap-std`), whatever names or symbolic links are met.
//! Files are written in Sluice's own folder and renamed into place once they are whole and on disk.

mod journal;
mod new_file;
mod open;
mod part_file;

use std::{
    collections::HashSet,
    fs::{File, FileTimes},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use cap_std::fs::{Dir, OpenOptions};
use service_kit::clock::Timestamp;
use tokio::task::spawn_blocking;

use super::{Change, Destination, DestinationError, Intent, Marker, NewFile, PartFile};

/// Inside [`OWN_FOLDER`](crate::domain::local_name::OWN_FOLDER): files that are being written.
const TEMPORARY_FOLDER: &str = "tmp";

/// Inside [`OWN_FOLDER`](crate::domain::local_name::OWN_FOLDER): items set aside while another takes their place.
const STAGING_FOLDER: &str = "staging";

/// A folder of this machine, locked for one worker.
#[derive(Clone)]
pub struct LocalFolder {
    inner: Arc<Inner>,
}

struct Inner {
    root: Dir,
    next_temporary: AtomicU64,
    /// Folders whose entries changed since the last flush.
    touched: Mutex<HashSet<PathBuf>>,
    /// Whether a flush failed, or is under way: one runs at a time.
    flush_failed: AtomicBool,
    /// The lock lives as long as this handle.
    _lock: File,
}

impl LocalFolder {
    /// Opens a mirror's folder and locks it.
    ///
    /// One that was filled before must be there and carry the marker. A new one must be empty or carry the same marker; it is made if
    /// it is not there.
    ///
    /// # Errors
    /// [`DestinationError::Refused`] when the folder is not what it should be, [`DestinationError::Busy`] when another worker has
    /// it, or what the system says.
    pub async fn open(path: &Path, marker: &Marker, filled_before: bool) -> Result<Self, DestinationError> {
        let (path, marker) = (path.to_owned(), marker.clone());
        blocking(move || open::open(&path, &marker, filled_before)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        path: &[String],
        operation: impl FnOnce(&Inner, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DestinationError> {
        let inner = Arc::clone(&self.inner);
        let shown = if path.is_empty() { "the destination".to_owned() } else { path.join("/") };
        let path: PathBuf = path.iter().collect();
        blocking(move || {
            operation(&inner, &path).map_err(|source| DestinationError::Io { what, path: shown, source })
        })
        .await
    }
}

impl Inner {
    fn touch(&self, path: &Path) {
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(parent);
    }

    /// Moves without replacing; whether something was in the way. File systems that cannot do it in one step are asked first
    /// whether the place is free.
    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<bool> {
        use rustix::{fs::RenameFlags, io::Errno};
        let (from_dir, from_name) = self.parent_of(from)?;
        let (to_dir, to_name) = self.parent_of(to)?;
        match rustix::fs::renameat_with(&from_dir, &from_name, &to_dir, &to_name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if to_dir.symlink_metadata(&to_name).is_ok() {
                    return Ok(false);
                }
                from_dir.rename(&from_name, &to_dir, &to_name)?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn parent_of(&self, path: &Path) -> io::Result<(Dir, PathBuf)> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = match parent {
            Some(parent) => self.root.open_dir(parent)?,
            None => self.root.try_clone()?,
        };
        Ok((dir, PathBuf::from(name)))
    }

    /// Makes the entries of every folder that changed durable.
    fn flush(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        // After one failure nothing that was done since the last success is known to be durable, and the system tells so only
        // once: every later flush must fail too.
        if self.flush_failed.swap(true, Ordering::Relaxed) {
            return Err(io::Error::other("an earlier flush failed"));
        }
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        for folder in touched {
            let whole_root = folder.as_os_str().is_empty();
            let dir = if whole_root { self.root.try_clone() } else { self.root.open_dir(&folder) };
            // A folder that was itself moved or deleted since has nothing left to flush under this path; its new parent is in
            // the list too.
            match dir {
                Ok(dir) => sync_folder(&dir)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.flush_failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        found(self.root.symlink_metadata(path).map(|_| ()))
    }
}

#[async_trait]
impl Destination for LocalFolder {
    async fn make_folder(&self, path: &[String]) -> Result<(), DestinationError> {
        let taken = self
            .run("make the folder", path, |inner, path| {
                match inner.root.create_dir(path) {
                    Ok(()) => inner.touch(path),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        return Ok(!inner.root.symlink_metadata(path)?.is_dir());
                    }
                    Err(error) => return Err(error),
                }
                Ok(false)
            })
            .await
            .map_err(parent_missing)?;
        if taken { Err(DestinationError::Taken { path: path.join("/") }) } else { Ok(()) }
    }

    async fn relocate(&self, from: &[String], to: &[String]) -> Result<(), DestinationError> {
        let target: PathBuf = to.iter().collect();
        let (was_there, done) = self
            .run("move", from, move |inner, from| {
                if !inner.exists(from)? {
                    return Ok((false, inner.exists(&target)?));
                }
                let done = inner.rename_no_replace(from, &target)?;
                if done {
                    inner.touch(from);
                    inner.touch(&target);
                }
                Ok((true, done))
            })
            .await
            .map_err(parent_missing)?;
        match (was_there, done) {
            (_, true) => Ok(()),
            (true, false) => Err(DestinationError::Taken { path: to.join("/") }),
            (false, false) => Err(DestinationError::Missing { path: from.join("/") }),
        }
    }

    async fn begin_file(&self) -> Result<Box<dyn NewFile>, DestinationError> {
        new_file::begin(self).await
    }

    async fn open_parts(&self, key: &str) -> Result<(Box<dyn PartFile>, Option<Vec<u8>>), DestinationError> {
        part_file::open(self, key).await
    }

    async fn keep_parts(&self, keys: HashSet<String>) -> Result<(), DestinationError> {
        self.run("clear the parts of", &[], move |inner, _| part_file::keep_only(&inner.root, &keys)).await
    }

    async fn set_modified(&self, path: &[String], modified: Timestamp) -> Result<(), DestinationError> {
        self.run("set the time of", path, move |inner, path| {
            let file = inner.root.open_with(path, OpenOptions::new().write(true))?.into_std();
            set_modified(&file, modified)?;
            file.sync_all()
        })
        .await
        .map_err(missing)
    }

    async fn delete_file(&self, path: &[String]) -> Result<(), DestinationError> {
        self.run("delete", path, |inner, path| {
            if found(inner.root.remove_file(path))? {
                inner.touch(path);
            }
            Ok(())
        })
        .await
    }

    async fn delete_folder(&self, path: &[String]) -> Result<(), DestinationError> {
        let result = self
            .run("delete the folder", path, |inner, path| {
                if found(inner.root.remove_dir(path))? {
                    inner.touch(path);
                }
                Ok(())
            })
            .await;
        match result {
            Err(DestinationError::Io { path, source, .. })
                if source.kind() == ErrorKind::DirectoryNotEmpty =>
            {
                Err(DestinationError::NotEmpty { path })
            }
            other => other,
        }
    }

    async fn flush(&self) -> Result<(), DestinationError> {
        self.run("flush", &[], |inner, _| inner.flush()).await
    }

    async fn announce(&self, intents: &[Intent]) -> Result<(), DestinationError> {
        let intents = intents.to_vec();
        self.run("write the journal of", &[], move |inner, _| journal::write(&inner.root, &intents)).await
    }

    async fn made(&self) -> Result<Vec<Intent>, DestinationError> {
        self.run("compare with the journal of", &[], |inner, _| {
            let made = journal::made(&inner.root)?;
            // Whoever made these may not have lived to flush them.
            for intent in &made {
                inner.touch(&intent.path.iter().collect::<PathBuf>());
                if let Change::Move { from } = &intent.change {
                    inner.touch(&from.iter().collect::<PathBuf>());
                }
            }
            inner.flush()?;
            Ok(made)
        })
        .await
    }
}

/// Makes a folder's entries durable. The handles of `cap-std` only name a folder (`O_PATH`); syncing needs one that reads it.
fn sync_folder(dir: &Dir) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let readable =
        rustix::fs::openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::fsync(readable)?)
}

fn set_modified(file: &File, modified: Timestamp) -> io::Result<()> {
    // A drive can name a time before 1970; such a file keeps the time of its transfer.
    let Ok(millis) = u64::try_from(modified.as_millis()) else { return Ok(()) };
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_millis(millis)))
}

fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

fn parent_missing(error: DestinationError) -> DestinationError {
    if let DestinationError::Io { path, source, .. } = &error
        && source.kind() == ErrorKind::NotFound
    {
        return DestinationError::ParentMissing { path: path.clone() };
    }
    error
}

fn missing(error: DestinationError) -> DestinationError {
    if let DestinationError::Io { path, source, .. } = &error
        && source.kind() == ErrorKind::NotFound
    {
        return DestinationError::Missing { path: path.clone() };
    }
    error
}

async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, DestinationError> + Send + 'static,
) -> Result<T, DestinationError> {
    match spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) => {
            Err(DestinationError::Io { what: "use", path: String::new(), source: io::Error::other(error) })
        }
    }
}

#[cfg(test)]
mod tests;
