//! A folder of this machine.
//!
//! Every access goes through a handle of the root that refuses to leave it (`cap-std`), whatever names or symbolic links are met.
//! Files are written in Sluice's own folder and renamed into place once they are whole and on disk.

use std::{
    collections::HashSet,
    fs::{File, FileTimes, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};
use service_kit::clock::Timestamp;
use tokio::{io::AsyncWriteExt as _, task::spawn_blocking};

use super::{Destination, DestinationError, Marker, NewFile, marker::MARKER_FILE};
use crate::domain::local_name::OWN_FOLDER;

/// Inside [`OWN_FOLDER`]: files that are being written.
const TEMPORARY_FOLDER: &str = "tmp";

/// Inside [`OWN_FOLDER`]: items set aside while another takes their place.
const STAGING_FOLDER: &str = "staging";

/// Inside [`OWN_FOLDER`]: held while a worker uses the destination.
const LOCK_FILE: &str = "lock";

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
        blocking(move || open(&path, &marker, filled_before)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        path: &[String],
        operation: impl FnOnce(&Inner, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DestinationError> {
        let inner = Arc::clone(&self.inner);
        let shown = path.join("/");
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
            .await?;
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
            .await?;
        match (was_there, done) {
            (_, true) => Ok(()),
            (true, false) => Err(DestinationError::Taken { path: to.join("/") }),
            (false, false) => Err(DestinationError::Missing { path: from.join("/") }),
        }
    }

    async fn begin_file(&self) -> Result<Box<dyn NewFile>, DestinationError> {
        let number = self.inner.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = [OWN_FOLDER.to_owned(), TEMPORARY_FOLDER.to_owned(), number.to_string()];
        let file = self
            .run("start a file in", &path, |inner, path| {
                let file = inner.root.open_with(path, OpenOptions::new().write(true).create_new(true))?;
                Ok(file.into_std())
            })
            .await?;
        let temporary = Temporary { inner: Arc::clone(&self.inner), path: path.iter().collect() };
        Ok(Box::new(LocalFile { folder: self.clone(), file: tokio::fs::File::from_std(file), temporary }))
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
        self.run("flush", &[], |inner, _| {
            // After one failure nothing that was done since the last success is known to be durable, and the system tells so
            // only once: every later flush must fail too.
            if inner.flush_failed.swap(true, Ordering::Relaxed) {
                return Err(io::Error::other("an earlier flush failed"));
            }
            let touched = std::mem::take(&mut *inner.touched.lock().unwrap_or_else(PoisonError::into_inner));
            for folder in touched {
                let dir = if folder.as_os_str().is_empty() {
                    inner.root.try_clone()
                } else {
                    inner.root.open_dir(&folder)
                };
                // A folder that was itself moved or deleted since has nothing left to flush under this path; its
                // new parent is in the list too.
                match dir {
                    Ok(dir) => sync_folder(&dir)?,
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            inner.flush_failed.store(false, Ordering::Relaxed);
            Ok(())
        })
        .await
    }
}

/// A file in the temporary folder, removed when dropped before it got its place.
struct Temporary {
    inner: Arc<Inner>,
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Already renamed is the good case; what else remains is removed when the destination is opened next.
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
    }
}

impl LocalFile {
    fn failed(&self, what: &'static str, source: io::Error) -> DestinationError {
        DestinationError::Io { what, path: self.temporary.path.to_string_lossy().into_owned(), source }
    }
}

fn open(path: &Path, marker: &Marker, filled_before: bool) -> Result<LocalFolder, DestinationError> {
    let io = |what: &'static str| {
        move |source| DestinationError::Io { what, path: path.display().to_string(), source }
    };
    if filled_before && !path.is_dir() {
        return Err(missing_mirror(path));
    }
    std::fs::create_dir_all(path).map_err(io("make the destination"))?;
    let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(io("open the destination"))?;
    let marker_path = Path::new(OWN_FOLDER).join(MARKER_FILE);
    match root.read_to_string(&marker_path) {
        Ok(text) => check_marker(path, &text, marker)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if filled_before {
                return Err(missing_mirror(path));
            }
            let mut entries = root.entries().map_err(io("list the destination"))?;
            if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != OWN_FOLDER)) {
                return Err(DestinationError::Refused {
                    reason: "DESTINATION_NOT_EMPTY",
                    path: path.to_owned(),
                    what: "holds files already; a mirror needs a folder of its own".to_owned(),
                });
            }
        }
        Err(error) => return Err(io("read the marker of")(error)),
    }
    for folder in [TEMPORARY_FOLDER, STAGING_FOLDER] {
        root.create_dir_all(Path::new(OWN_FOLDER).join(folder)).map_err(io("write to the destination"))?;
    }
    let lock = lock(&root, path)?;
    write_marker(&root, &marker_path, marker).map_err(io("write the marker of"))?;
    empty_temporary(&root).map_err(io("clear the temporary files of"))?;
    let inner = Inner { root, next_temporary: AtomicU64::new(0), touched: Mutex::default(), flush_failed: AtomicBool::new(false), _lock: lock };
    Ok(LocalFolder { inner: Arc::new(inner) })
}

fn missing_mirror(path: &Path) -> DestinationError {
    DestinationError::Refused {
        reason: "DESTINATION_MISSING",
        path: path.to_owned(),
        what: "was filled before and is not there now; mount it, or remove the source and add it again"
            .to_owned(),
    }
}

fn check_marker(path: &Path, text: &str, marker: &Marker) -> Result<(), DestinationError> {
    match serde_json::from_str::<Marker>(text) {
        Ok(found) if found == *marker => Ok(()),
        Ok(found) => Err(DestinationError::Refused {
            reason: "DESTINATION_TAKEN",
            path: path.to_owned(),
            what: format!(
                "is the mirror of {} made {}; use another folder, or move this one away",
                found.source, found.source_create_time
            ),
        }),
        Err(error) => Err(DestinationError::Refused {
            reason: "DESTINATION_TAKEN",
            path: path.to_owned(),
            what: format!("has a marker that cannot be read ({error}); use another folder"),
        }),
    }
}

fn lock(root: &Dir, path: &Path) -> Result<File, DestinationError> {
    let io = |source| DestinationError::Io { what: "lock", path: path.display().to_string(), source };
    let options = OpenOptions::new().write(true).create(true).clone();
    let file = root.open_with(Path::new(OWN_FOLDER).join(LOCK_FILE), &options).map_err(io)?.into_std();
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DestinationError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Writes the marker whole or not at all, and only where it is not there yet.
fn write_marker(root: &Dir, marker_path: &Path, marker: &Marker) -> io::Result<()> {
    if root.exists(marker_path) {
        return Ok(());
    }
    let temporary = Path::new(OWN_FOLDER).join(TEMPORARY_FOLDER).join(MARKER_FILE);
    root.write(&temporary, serde_json::to_vec_pretty(marker)?)?;
    root.open(&temporary)?.sync_all()?;
    root.rename(&temporary, root, marker_path)?;
    sync_folder(&root.open_dir(OWN_FOLDER)?)
}

/// Makes a folder's entries durable. The handles of `cap-std` only name a folder (`O_PATH`); syncing needs one that reads it.
fn sync_folder(dir: &Dir) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let readable =
        rustix::fs::openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::fsync(readable)?)
}

/// Removes what a worker that was killed left half written.
fn empty_temporary(root: &Dir) -> io::Result<()> {
    let folder = root.open_dir(Path::new(OWN_FOLDER).join(TEMPORARY_FOLDER))?;
    for entry in folder.entries()? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            entry.remove_file()?;
        }
    }
    Ok(())
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
