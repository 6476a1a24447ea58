//! Compares what lies in a mirror's folder with what was put there. Nothing is changed, and no symbolic link is followed.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use cap_std::fs::{Dir, DirEntry, Metadata};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Onlooker, blocking, journal, keep, spot};
use crate::{
    destination::{DestinationError, Intent},
    domain::{baseline::Baseline, folded::folded, local_name::OWN_FOLDER},
};

/// Things that are not the drive's which are handed over at once.
const EXTRAS_AT_ONCE: usize = 500;

/// A folder that is looked at, wherever it is moved meanwhile.
#[derive(Clone)]
pub struct OpenFolder {
    dir: Arc<Dir>,
    path: Vec<String>,
}

/// What came of opening a folder.
pub enum Entered {
    /// It is there.
    Folder(OpenFolder),
    /// Nothing is there.
    Missing,
    /// Something else is there.
    WrongKind(Unlike),
}

/// What came of looking at a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// It has the bytes that were put there.
    Sound,
    /// Nothing is there.
    Missing,
    /// Something else is there.
    WrongKind(Unlike),
    /// It has another size: this one, in bytes.
    OtherSize(i64),
    /// It has other bytes.
    OtherBytes {
        /// Whether the modification time is the one that was set.
        same_time: bool,
    },
    /// It has the right size, as far as that is known, and no hash is known.
    NoHash,
}

/// What is where something else should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlike {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// Something that is not the drive's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its name.
    pub name: String,
    /// Bytes of a file; 0 for all else.
    pub size: i64,
}

/// The names that a folder should have. Only a keyed hash of each is held, so that a folder with a million entries takes a few
/// megabytes; that two names meet by chance, and something of somebody's is not named for it, is as good as impossible.
pub struct Names {
    folds: bool,
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Names {
    /// No names yet. With `folds_names`, those that differ in case or Unicode form only are one.
    pub fn new(folds_names: bool) -> Self {
        Self { folds: folds_names, hasher: RandomState::new(), hashes: HashSet::new() }
    }

    /// Adds a name.
    pub fn insert(&mut self, name: &str) {
        self.hashes.insert(self.hash(name));
    }

    /// Whether this is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.hashes.contains(&self.hash(name))
    }

    fn hash(&self, name: &str) -> u64 {
        if self.folds { self.hasher.hash_one(folded(name)) } else { self.hasher.hash_one(name) }
    }
}

impl Onlooker {
    /// Opens a folder below the root, or the root itself.
    ///
    /// # Errors
    /// What the system says.
    pub async fn enter(&self, path: &[String]) -> Result<Entered, DestinationError> {
        let (root, path) = (Arc::clone(&self.root), path.to_vec());
        blocking(move || enter(&root, &path).map_err(failed("open the folder", &path))).await
    }

    /// The changes that a worker announced which did not live to say whether it made them.
    ///
    /// # Errors
    /// What the system says.
    pub async fn announced(&self) -> Result<Vec<Intent>, DestinationError> {
        let root = Arc::clone(&self.root);
        blocking(move || journal::read(&root).map_err(failed("read the journal of", &[]))).await
    }
}

impl OpenFolder {
    /// Compares a file with what was put there. Reads it, unless its size tells already, and says how much each time it read some;
    /// ends early with an error of `read_some`.
    ///
    /// # Errors
    /// What the system says.
    pub async fn inspect(
        &self,
        name: &str,
        expected: Baseline,
        read_some: impl FnMut(usize) -> io::Result<()> + Send + 'static,
    ) -> Result<Inspected, DestinationError> {
        let (dir, name) = (Arc::clone(&self.dir), name.to_owned());
        let path: Vec<String> = self.path.iter().chain([&name]).cloned().collect();
        blocking(move || inspect(&dir, Path::new(&name), &expected, read_some).map_err(failed("read", &path)))
            .await
    }

    /// Everything in the folder that has none of these names, a few hundred at a time. Sluice's own folder is none of it.
    pub fn extras(self, names: Names) -> mpsc::Receiver<Result<Vec<Extra>, DestinationError>> {
        let (found, taken) = mpsc::channel(1);
        // Ends when nobody takes what is found any more.
        drop(spawn_blocking(move || {
            if let Err(error) = self.find_extras(&names, |extras| found.blocking_send(Ok(extras)).is_ok()) {
                drop(found.blocking_send(Err(failed("list", &self.path)(error))));
            }
        }));
        taken
    }

    fn find_extras(&self, names: &Names, mut hand_over: impl FnMut(Vec<Extra>) -> bool) -> io::Result<()> {
        let mut extras = Vec::new();
        for entry in self.dir.entries()? {
            extras.extend(self.extra(&entry?, names)?);
            if extras.len() == EXTRAS_AT_ONCE && !hand_over(std::mem::take(&mut extras)) {
                return Ok(());
            }
        }
        if !extras.is_empty() {
            hand_over(extras);
        }
        Ok(())
    }

    fn extra(&self, entry: &DirEntry, names: &Names) -> io::Result<Option<Extra>> {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| names.contains(name)) {
            return Ok(None);
        }
        if self.path.is_empty() && name == OWN_FOLDER {
            return Ok(None);
        }
        let size = match self.dir.symlink_metadata(&name) {
            Ok(there) if there.is_file() => i64::try_from(there.len()).unwrap_or(i64::MAX),
            Ok(_) => 0,
            // Gone by itself meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Extra { name: name.to_string_lossy().into_owned(), size }))
    }
}

fn enter(root: &Arc<Dir>, path: &[String]) -> io::Result<Entered> {
    let open = |dir| Entered::Folder(OpenFolder { dir, path: path.to_vec() });
    if path.is_empty() {
        return Ok(open(Arc::clone(root)));
    }
    let place: PathBuf = path.iter().collect();
    let looked = spot::find(root, &place).and_then(|spot| Ok((spot.metadata()?, spot)));
    let (there, spot) = match looked {
        Ok((Some(there), spot)) => (there, spot),
        Ok((None, _)) => return Ok(Entered::Missing),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entered::Missing),
        Err(error) => return Err(error),
    };
    match unlike(&there) {
        Unlike::Folder => Ok(open(Arc::new(spot.open_folder()?))),
        other @ (Unlike::File | Unlike::Link | Unlike::Special) => Ok(Entered::WrongKind(other)),
    }
}

fn inspect(
    dir: &Dir,
    name: &Path,
    expected: &Baseline,
    read_some: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<Inspected> {
    let spot = spot::find(dir, name)?;
    let Some(there) = spot.metadata()? else { return Ok(Inspected::Missing) };
    let other = unlike(&there);
    if other != Unlike::File {
        return Ok(Inspected::WrongKind(other));
    }
    let size = i64::try_from(there.len()).unwrap_or(i64::MAX);
    if expected.size.is_some_and(|known| known != size) {
        return Ok(Inspected::OtherSize(size));
    }
    let Some(known) = &expected.hash else { return Ok(Inspected::NoHash) };
    if keep::content_hash_while(&spot, read_some)? == *known {
        return Ok(Inspected::Sound);
    }
    Ok(Inspected::OtherBytes { same_time: expected.modified == Some(spot::modified(&there)) })
}

fn unlike(there: &Metadata) -> Unlike {
    if there.is_file() {
        Unlike::File
    } else if there.is_dir() {
        Unlike::Folder
    } else if there.is_symlink() {
        Unlike::Link
    } else {
        Unlike::Special
    }
}

fn failed(what: &'static str, path: &[String]) -> impl FnOnce(io::Error) -> DestinationError + use<> {
    let path = if path.is_empty() { "the destination".to_owned() } else { path.join("/") };
    move |source| DestinationError::Io { what, path, source }
}
