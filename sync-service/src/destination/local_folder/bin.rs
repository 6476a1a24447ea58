//! Deleted files, kept for a while: `.sluice/bin/{date}/{path}`.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use cap_std::fs::{Dir, MetadataExt as _};
use service_kit::clock::Timestamp;

use super::{
    Inner, STAGING_FOLDER, keep,
    open::own,
    spot::{self, Spot},
};
use crate::domain::local_name;

/// Inside [`OWN_FOLDER`](local_name::OWN_FOLDER): a folder for each day.
const BIN_FOLDER: &str = "bin";

/// Files of one path that one day's bin takes.
const MAX_SAME_NAME: u32 = 10_000;

/// Files and folders that one run removes from the bin; the next one goes on.
const MAX_PURGED: u32 = 20_000;

/// Files and folders of the bin that are counted.
const MAX_COUNTED: u32 = 1_000_000;

/// Bytes that a file's number of blocks counts in.
const STAT_BLOCK: u64 = 512;

/// Days of the bin that are looked at.
const MAX_DAYS: usize = 100_000;

impl Inner {
    /// Whether deleted files are kept.
    pub(super) fn keeps_deleted(&self) -> bool {
        !self.options.bin_retention.is_zero()
    }

    /// The folder of today's bin for what lay at this path.
    pub(super) fn bin_for(&self, path: &Path) -> io::Result<Bin> {
        let (inside, name) = place_in_bin(path)?;
        let day = own(BIN_FOLDER).join(day(self.options.clock.now()));
        let folder = day.join(&inside);
        match self.make_folders(&folder) {
            Ok(()) => Ok(Bin { folder, name }),
            // A file lies where a folder would be needed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_folders(&day)?;
                Ok(Bin { folder: day, name })
            }
            Err(error) => Err(error),
        }
    }

    /// Moves an entry into the bin.
    pub(super) fn throw_away(&self, from: &Spot, bin: &Bin) -> io::Result<()> {
        for number in 1..=MAX_SAME_NAME {
            let target = bin.folder.join(local_name::numbered(&bin.name, number));
            if from.move_to_free(&self.spot(&target)?)? {
                self.touch(&target);
                return Ok(());
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    fn make_folders(&self, path: &Path) -> io::Result<()> {
        let mut at = PathBuf::new();
        for name in path {
            at.push(name);
            let spot = self.spot(&at)?;
            match spot.dir.create_dir(&spot.name) {
                Ok(()) => self.touch(&at),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        self.spot(path)?.open_folder().map(|_| ())
    }

    /// Removes from the bin what has been there for its time.
    pub(super) fn purge(&self) -> io::Result<()> {
        // A day's folder holds what was thrown away until its end.
        let oldest_kept = day(self.options.clock.now().saturating_sub(self.options.bin_retention));
        let mut left = MAX_PURGED;
        for day in days(&self.root)?.into_iter().filter(|day| *day < oldest_kept) {
            remove(&self.spot(&own(BIN_FOLDER).join(day))?, &mut left)?;
        }
        Ok(())
    }

    /// Removes the oldest day of the bin, whatever its age; whether there was one, and it could be removed as a whole.
    pub(super) fn purge_oldest_day(&self) -> io::Result<bool> {
        let Some(day) = days(&self.root)?.into_iter().min() else { return Ok(false) };
        let spot = self.spot(&own(BIN_FOLDER).join(&day))?;
        tracing::info!(day, "the bin makes way for new files");
        let mut left = MAX_PURGED;
        remove(&spot, &mut left)?;
        Ok(spot.metadata()?.is_none())
    }
}

/// The days of the bin, in no order.
fn days(root: &Dir) -> io::Result<Vec<String>> {
    let bin = match spot::find(root, &own(BIN_FOLDER)).and_then(|spot| spot.open_folder()) {
        Ok(bin) => bin,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut days = Vec::new();
    for entry in bin.entries()?.take(MAX_DAYS) {
        days.extend(entry?.file_name().into_string().ok().filter(|name| is_day(name)));
    }
    Ok(days)
}

/// Bytes on disk of what is in the bin.
pub(super) fn bytes(root: &Dir) -> io::Result<u64> {
    let (mut left, mut bytes) = (MAX_COUNTED, 0);
    for day in days(root)? {
        count(&spot::find(root, &own(BIN_FOLDER).join(day))?, &mut left, &mut bytes)?;
    }
    Ok(bytes)
}

/// A place in the bin for one entry.
pub(super) struct Bin {
    folder: PathBuf,
    name: String,
}

/// Where something lay, as a path inside a day's bin: its folder and its name.
fn place_in_bin(path: &Path) -> io::Result<(PathBuf, String)> {
    let staging = own(STAGING_FOLDER);
    let mut segments = keep::segments(path.strip_prefix(&staging).unwrap_or(path));
    if path.starts_with(&staging)
        && let Some(top) = segments.first_mut()
    {
        *top = local_name::unstaged(top).to_owned();
    }
    let name = segments.pop().ok_or(ErrorKind::InvalidInput)?;
    Ok((segments.iter().collect(), name))
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-11-21".len()).collect()
}

fn is_day(name: &str) -> bool {
    name.len() == "2026-11-21".len() && name.chars().all(|c| c.is_ascii_digit() || c == '-')
}

/// Removes an entry with all that it holds, as far as `left` lets it.
fn remove(spot: &Spot, left: &mut u32) -> io::Result<()> {
    if spot.metadata()?.is_some_and(|entry| entry.is_dir()) {
        let folder: Dir = spot.open_folder()?;
        for entry in folder.entries()? {
            if *left == 0 {
                return Ok(());
            }
            let name = entry?.file_name();
            remove(&Spot { dir: folder.try_clone()?, name: name.into() }, left)?;
        }
    }
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    match spot.metadata()? {
        Some(entry) if entry.is_dir() => spot.dir.remove_dir(&spot.name),
        Some(_) => spot.dir.remove_file(&spot.name),
        None => Ok(()),
    }
}

/// Adds the bytes on disk of an entry with all that it holds, as far as `left` lets it.
fn count(spot: &Spot, left: &mut u32, bytes: &mut u64) -> io::Result<()> {
    // Gone by itself meanwhile.
    let Some(entry) = spot.metadata()? else { return Ok(()) };
    *bytes = bytes.saturating_add(entry.blocks().saturating_mul(STAT_BLOCK));
    if !entry.is_dir() {
        return Ok(());
    }
    let folder: Dir = spot.open_folder()?;
    for entry in folder.entries()? {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let name = entry?.file_name();
        count(&Spot { dir: folder.try_clone()?, name: name.into() }, left, bytes)?;
    }
    Ok(())
}
