//! A folder of this machine.
//!
//! Every access goes through a handle of the root, one folder after the other, and follows no symbolic link: nothing outside the root is
//! ever reached, whatever names or links are met. Files are written in Sluice's own folder and renamed into place once they are whole
//! and on disk.

mod bin;
mod inspect;
mod journal;
mod keep;
mod new_file;
mod onlooker;
mod open;
mod part_file;
mod space;
mod spot;

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
use cap_std::fs::Dir;
use service_kit::clock::{Clock, SystemClock, Timestamp};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use self::spot::Spot;
pub use self::{
    inspect::{Entered, Extra, Inspected, Names, OpenFolder, Unlike},
    onlooker::{Onlooker, Place},
};
use super::{
    Change, Destination, DestinationError, Intent, Kept, KeptReason, Made, Marker, NewFile, PartFile, Room,
};
use crate::domain::baseline::Baseline;

/// Inside [`OWN_FOLDER`](crate::domain::local_name::OWN_FOLDER): files that are being written.
const TEMPORARY_FOLDER: &str = "tmp";

/// Inside [`OWN_FOLDER`](crate::domain::local_name::OWN_FOLDER): items set aside while another takes their place.
pub const STAGING_FOLDER: &str = "staging";

/// How long deleted files are kept unless asked otherwise.
pub const DEFAULT_BIN_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Bytes that stay free unless asked otherwise.
pub const DEFAULT_RESERVE: u64 = 256 * 1024 * 1024;

/// How long a folder that somebody else has locked is waited for: a run of this process that was cut short holds it until its last
/// write is through, and a worker whose lease passed to another one until it notices.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two attempts to lock.
const LOCK_AGAIN: Duration = Duration::from_millis(100);

/// A folder of this machine, locked for one worker.
#[derive(Clone)]
pub struct LocalFolder {
    inner: Arc<Inner>,
}

/// How a worker treats its folders.
#[derive(Clone)]
pub struct LocalFolderOptions {
    /// The time, for the names of what is kept.
    pub clock: Arc<dyn Clock>,
    /// How long deleted files are kept in the bin, counted in days; zero for not at all.
    pub bin_retention: Duration,
    /// Bytes of the file system that no transfer uses up.
    pub reserve: u64,
}

impl Default for LocalFolderOptions {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), bin_retention: DEFAULT_BIN_RETENTION, reserve: DEFAULT_RESERVE }
    }
}

struct Inner {
    root: Dir,
    options: LocalFolderOptions,
    folds_names: bool,
    /// What the names of temporary files begin with: another one each time, so that a worker that has lost the folder without noticing,
    /// where locks do not reach, never takes a file of its successor's for its own.
    temporary_prefix: String,
    next_temporary: AtomicU64,
    /// Bytes that files under way may still need.
    room_taken: Arc<AtomicU64>,
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
    /// it and keeps it for 20 seconds, or what the system says.
    pub async fn open(
        path: &Path,
        marker: &Marker,
        filled_before: bool,
        options: LocalFolderOptions,
    ) -> Result<Self, DestinationError> {
        let attempts = async {
            loop {
                let (path, marker, options) = (path.to_owned(), marker.clone(), options.clone());
                match blocking(move || open::open(&path, &marker, filled_before, options)).await {
                    Err(DestinationError::Busy { .. }) => sleep(LOCK_AGAIN).await,
                    result => return result,
                }
            }
        };
        let busy = |_| Err(DestinationError::Busy { path: path.to_owned() });
        timeout(LOCK_PATIENCE, attempts).await.unwrap_or_else(busy)
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

    fn spot(&self, path: &Path) -> io::Result<Spot> {
        spot::find(&self.root, path)
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
            let dir = if whole_root {
                self.root.try_clone()
            } else {
                self.spot(&folder).and_then(|spot| spot.open_folder())
            };
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
        match self.spot(path) {
            Ok(spot) => Ok(spot.metadata()?.is_some()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the folder is there now, having made way for it once.
    fn make_folder(&self, path: &Path, kept: &mut Vec<Kept>) -> io::Result<bool> {
        let spot = self.spot(path)?;
        for _ in 0..2 {
            match spot.dir.create_dir(&spot.name) {
                Ok(()) => {
                    self.touch(path);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            if spot.metadata()?.is_some_and(|there| there.is_dir()) {
                return Ok(true);
            }
            self.clear(path, kept)?;
        }
        Ok(false)
    }

    fn delete_folder(&self, path: &Path) -> io::Result<Vec<Kept>> {
        let spot = match self.spot(path) {
            Ok(spot) => spot,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // Where nobody would find what stays.
        let staged = path.parent() == Some(&open::own(STAGING_FOLDER));
        match spot.dir.remove_dir(&spot.name) {
            Ok(()) => self.touch(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Something that is not the folder that was.
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                if staged {
                    return Ok(vec![self.set_aside(path, KeptReason::Stranger)?]);
                }
            }
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                if staged {
                    return Ok(vec![self.set_aside(path, KeptReason::Folder)?]);
                }
                let at = keep::segments(path);
                return Ok(vec![Kept { reason: KeptReason::Folder, was: at.clone(), path: at }]);
            }
            Err(error) => return Err(error),
        }
        Ok(Vec::new())
    }

    /// Sets the file aside unless it is the one that was put there. `None` where nothing is there at all.
    fn look(&self, path: &Path, expected: &Baseline) -> io::Result<Option<Looked>> {
        let spot = self.spot(path)?;
        let Some(there) = spot.metadata()? else { return Ok(None) };
        if keep::is_ours(&spot, &there, expected)? {
            Ok(Some(Looked::Ours(spot)))
        } else {
            Ok(Some(Looked::SetAside(self.set_aside(path, KeptReason::LocalEdit)?)))
        }
    }
}

/// What became of looking at a file.
enum Looked {
    /// It is as it was put there.
    Ours(Spot),
    /// It is not; here it lies now.
    SetAside(Kept),
}

/// What became of moving something.
enum Moved {
    Done(Vec<Kept>),
    Taken,
    Missing,
    SetAside(Kept),
}

#[async_trait]
impl Destination for LocalFolder {
    fn folds_names(&self) -> bool {
        self.inner.folds_names
    }

    async fn make_folder(&self, path: &[String]) -> Result<Vec<Kept>, DestinationError> {
        let mut kept = Vec::new();
        let (made, kept) = self
            .run("make the folder", path, move |inner, path| Ok((inner.make_folder(path, &mut kept)?, kept)))
            .await
            .map_err(parent_missing)?;
        if made { Ok(kept) } else { Err(DestinationError::Taken { path: path.join("/") }) }
    }

    async fn relocate(
        &self,
        from: &[String],
        to: &[String],
        expected: Option<&Baseline>,
    ) -> Result<Vec<Kept>, DestinationError> {
        let (target, expected) = (to.iter().collect::<PathBuf>(), expected.cloned());
        let moved = self
            .run("move", from, move |inner, from| {
                if !inner.exists(from)? {
                    let moved_before = inner.exists(&target)?;
                    return Ok(if moved_before { Moved::Done(Vec::new()) } else { Moved::Missing });
                }
                if let Some(expected) = &expected
                    && let Some(Looked::SetAside(kept)) = inner.look(from, expected)?
                {
                    return Ok(Moved::SetAside(kept));
                }
                let mut kept = Vec::new();
                let done = inner.move_clearing(from, &target, &mut kept)?;
                Ok(if done { Moved::Done(kept) } else { Moved::Taken })
            })
            .await
            .map_err(parent_missing)?;
        match moved {
            Moved::Done(kept) => Ok(kept),
            Moved::Taken => Err(DestinationError::Taken { path: to.join("/") }),
            Moved::Missing => Err(DestinationError::Missing { path: from.join("/") }),
            Moved::SetAside(kept) => Err(DestinationError::SetAside { path: from.join("/"), kept }),
        }
    }

    async fn take_room(&self, bytes: u64) -> Result<Room, DestinationError> {
        let fits = self.run("look for room in", &[], move |inner, _| inner.has_room(bytes)).await?;
        if fits {
            Ok(Room::take(&self.inner.room_taken, bytes))
        } else {
            Err(DestinationError::Full { files: 1, reserve: self.inner.options.reserve })
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

    async fn set_modified(
        &self,
        path: &[String],
        modified: Timestamp,
        expected: &Baseline,
    ) -> Result<Baseline, DestinationError> {
        let expected = expected.clone();
        let changed = self
            .run("set the time of", path, move |inner, path| {
                let spot = match inner.look(path, &expected)? {
                    Some(Looked::Ours(spot)) => spot,
                    Some(Looked::SetAside(kept)) => return Ok(Err(kept)),
                    None => return Err(ErrorKind::NotFound.into()),
                };
                let file = spot.open_to_write()?;
                set_modified(&file, modified)?;
                file.sync_all()?;
                let there = spot.metadata()?.ok_or(ErrorKind::NotFound)?;
                Ok(Ok(Baseline { modified: Some(spot::modified(&there)), ..expected }))
            })
            .await
            .map_err(missing)?;
        changed.map_err(|kept| DestinationError::SetAside { path: path.join("/"), kept })
    }

    async fn delete_file(&self, path: &[String], expected: &Baseline) -> Result<Vec<Kept>, DestinationError> {
        let expected = expected.clone();
        self.run("delete", path, move |inner, path| {
            let mut kept = Vec::new();
            inner.delete(path, &expected, &mut kept)?;
            Ok(kept)
        })
        .await
    }

    async fn delete_folder(&self, path: &[String]) -> Result<Vec<Kept>, DestinationError> {
        self.run("delete the folder", path, Inner::delete_folder).await
    }

    async fn tidy(&self) -> Result<(), DestinationError> {
        self.run("clear the bin of", &[], |inner, _| inner.purge()).await
    }

    async fn flush(&self) -> Result<(), DestinationError> {
        self.run("flush", &[], |inner, _| inner.flush()).await
    }

    async fn announce(&self, intents: &[Intent]) -> Result<(), DestinationError> {
        let intents = intents.to_vec();
        self.run("write the journal of", &[], move |inner, _| journal::write(&inner.root, &intents)).await
    }

    async fn made(&self) -> Result<Vec<Made>, DestinationError> {
        self.run("compare with the journal of", &[], |inner, _| {
            let made = journal::made(&inner.root)?;
            // Whoever made these may not have lived to flush them.
            for Made { intent, .. } in &made {
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
