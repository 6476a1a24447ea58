//! Entries of folders, reached step by step without following any symbolic link.
//!
//! Whatever somebody plants in the destination, also while a run is under way, an operation reaches the very entry that it names, or
//! none.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
};

use cap_std::fs::{Dir, Metadata, MetadataExt as _};
use rustix::{
    fs::{Mode, OFlags, RenameFlags},
    io::Errno,
};
use service_kit::clock::Timestamp;

/// One entry, there or not, of a folder that is there.
pub(super) struct Spot {
    pub(super) dir: Dir,
    pub(super) name: PathBuf,
}

/// Finds the folder of an entry.
///
/// # Errors
/// `NotFound` when the folder is not there, or something on the way is no folder; `InvalidInput` for a path that leads anywhere else than
/// down.
pub(super) fn find(root: &Dir, path: &Path) -> io::Result<Spot> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                return Err(ErrorKind::InvalidInput.into());
            }
        }
    }
    let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
    let mut dir = root.try_clone()?;
    for folder in names {
        dir = open_folder(&dir, Path::new(folder))?;
    }
    Ok(Spot { dir, name: PathBuf::from(name) })
}

/// Opens the folder of this name, which must be a folder itself.
fn open_folder(dir: &Dir, name: &Path) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(folder) => Ok(Dir::from_std_file(File::from(folder))),
        // A file or a symbolic link where a folder belongs: then the folder is not there.
        Err(Errno::NOTDIR | Errno::LOOP) => Err(ErrorKind::NotFound.into()),
        Err(error) => Err(error.into()),
    }
}

impl Spot {
    /// What is there, a symbolic link being itself.
    pub(super) fn metadata(&self) -> io::Result<Option<Metadata>> {
        match self.dir.symlink_metadata(&self.name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file to read it.
    pub(super) fn open(&self) -> io::Result<File> {
        self.open_with(OFlags::RDONLY)
    }

    /// Opens the file to write its times.
    pub(super) fn open_to_write(&self) -> io::Result<File> {
        self.open_with(OFlags::WRONLY)
    }

    fn open_with(&self, access: OFlags) -> io::Result<File> {
        // Something that is no file by now, a pipe for example, must not be waited for.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty())?))
    }

    /// Opens the folder.
    pub(super) fn open_folder(&self) -> io::Result<Dir> {
        open_folder(&self.dir, &self.name)
    }

    /// Moves what is here to `to` unless something is there; whether it did. File systems that cannot do it in one step are asked first
    /// whether the place is free.
    pub(super) fn move_to_free(&self, to: &Self) -> io::Result<bool> {
        let moved =
            rustix::fs::renameat_with(&self.dir, &self.name, &to.dir, &to.name, RenameFlags::NOREPLACE);
        match moved {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                if to.metadata()?.is_some() {
                    return Ok(false);
                }
                self.dir.rename(&self.name, &to.dir, &to.name)?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Swaps two entries in one step; whether the file system can. Where it cannot, nothing was done.
    pub(super) fn swap(&self, other: &Self) -> io::Result<bool> {
        let swapped =
            rustix::fs::renameat_with(&self.dir, &self.name, &other.dir, &other.name, RenameFlags::EXCHANGE);
        match swapped {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether both are the same entry with the same content, as far as looking tells.
pub(super) fn same(one: &Metadata, other: &Metadata) -> bool {
    let mark = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
    mark(one) == mark(other)
}

/// When it was changed last, in whole milliseconds.
pub(super) fn modified(of: &Metadata) -> Timestamp {
    let millis = of.mtime().saturating_mul(1000).saturating_add(of.mtime_nsec().div_euclid(1_000_000));
    Timestamp::from_millis(millis)
}
