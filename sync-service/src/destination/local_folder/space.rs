//! Room on the file system: some of it is to stay free.

use std::{
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use rustix::fs::StatVfs;

use super::{Inner, Onlooker, bin, blocking};
use crate::{destination::DestinationError, domain::free_space::FreeSpace};

impl Inner {
    /// Whether a file of so many bytes fits. While it does not, the oldest days of the bin are removed.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        while !self.free_space()?.fits(bytes) {
            if !self.purge_oldest_day()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is free for us and not taken by files that are being written.
    fn free_space(&self) -> io::Result<FreeSpace> {
        let space = of_folder(&self.root, self.options.reserve)?;
        let taken = self.room_taken.load(Ordering::Relaxed);
        Ok(FreeSpace { free: space.free.saturating_sub(taken), ..space })
    }
}

impl Onlooker {
    /// What is free where the folder is.
    ///
    /// # Errors
    /// What the system says.
    pub async fn free_space(&self, reserve: u64) -> Result<FreeSpace, DestinationError> {
        let root = Arc::clone(&self.root);
        blocking(move || of_folder(&root, reserve).map_err(failed("look for room in"))).await
    }

    /// What is free where a folder would be made.
    ///
    /// # Errors
    /// What the system says.
    pub async fn free_space_for_new(path: PathBuf, reserve: u64) -> Result<FreeSpace, DestinationError> {
        blocking(move || {
            let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
            let space = rustix::fs::statvfs(there).map_err(io::Error::from);
            Ok(from_system(&space.map_err(failed("look for room in"))?, reserve))
        })
        .await
    }

    /// Bytes on disk of what is in the bin, which makes way for new files. Of a very large bin less is counted than there is.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bin_bytes(&self) -> Result<u64, DestinationError> {
        let root = Arc::clone(&self.root);
        blocking(move || bin::bytes(&root).map_err(failed("look into the bin of"))).await
    }
}

fn of_folder(folder: impl AsFd, reserve: u64) -> io::Result<FreeSpace> {
    Ok(from_system(&rustix::fs::fstatvfs(folder)?, reserve))
}

fn from_system(space: &StatVfs, reserve: u64) -> FreeSpace {
    FreeSpace { free: space.f_bavail.saturating_mul(space.f_frsize), reserve, block: space.f_frsize }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> DestinationError {
    move |source| DestinationError::Io { what, path: "the destination".to_owned(), source }
}
