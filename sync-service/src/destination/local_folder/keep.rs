//! Changes that could cost somebody a file: each looks at what is there first, and keeps what Sluice did not put there.

use std::{
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use cap_std::fs::Metadata;
use graph_client::quick_xor::QuickXor;

use super::{
    Inner, STAGING_FOLDER, TEMPORARY_FOLDER,
    open::own,
    spot::{self, Spot},
};
use crate::{
    destination::{Kept, KeptReason, Placement},
    domain::{
        baseline::{Baseline, Look},
        local_name,
    },
};

/// How often a change is begun again because somebody put something in its way meanwhile.
const MAX_TRIES: u32 = 5;

/// Local copies of one name within one second; more are refused.
const MAX_LOCAL_COPIES: u32 = 1000;

/// Bytes read at once to compare a file's content.
const READ_BYTES: usize = 256 * 1024;

/// Whether the entry is the file that Sluice put there.
pub(super) fn is_ours(spot: &Spot, there: &Metadata, expected: &Baseline) -> io::Result<bool> {
    if !there.is_file() {
        return Ok(false);
    }
    let size = i64::try_from(there.len()).unwrap_or(i64::MAX);
    Ok(match expected.look(size, Some(spot::modified(there))) {
        Look::Unchanged => true,
        Look::Edited => false,
        Look::CompareHash => Some(content_hash(spot)?) == expected.hash,
    })
}

/// `quickXorHash` of a file, in base64.
pub(super) fn content_hash(spot: &Spot) -> io::Result<String> {
    content_hash_while(spot, |_| Ok(()))
}

/// The same, telling how many bytes were read each time some were. Ends early with its error.
pub(super) fn content_hash_while(
    spot: &Spot,
    mut read_some: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<String> {
    let mut file = spot.open()?;
    let mut hash = QuickXor::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hash.base64());
        };
        hash.update(bytes);
        read_some(read)?;
    }
}

/// Whether the file in the way is the one that is to be replaced, or has the new content already.
fn may_replace(new: &Spot, place: &Spot, there: &Metadata, placement: &Placement) -> io::Result<bool> {
    if let Some(expected) = &placement.expected
        && is_ours(place, there, expected)?
    {
        return Ok(true);
    }
    let new_length = new.metadata()?.map(|new| new.len());
    Ok(there.is_file() && new_length == Some(there.len()) && content_hash(place)? == placement.hash)
}

impl Inner {
    /// Moves an entry to a name of its own beside its place, for its owner to find.
    pub(super) fn set_aside(&self, path: &Path, reason: KeptReason) -> io::Result<Kept> {
        self.set_aside_from(&self.spot(path)?, path, reason)
    }

    /// The same for an entry that was taken from its place already.
    fn set_aside_from(&self, from: &Spot, path: &Path, reason: KeptReason) -> io::Result<Kept> {
        let (folder, name) = visible_place(path)?;
        let now = self.options.clock.now();
        for number in 1..=MAX_LOCAL_COPIES {
            let target = folder.join(local_name::local_copy(&name, now, number));
            if from.move_to_free(&self.spot(&target)?)? {
                self.touch(path);
                self.touch(&target);
                return Ok(Kept { reason, was: segments(path), path: segments(&target) });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Makes way for something of the drive's: whatever is there is not.
    pub(super) fn clear(&self, path: &Path, kept: &mut Vec<Kept>) -> io::Result<()> {
        match self.set_aside(path, KeptReason::Stranger) {
            Ok(aside) => kept.push(aside),
            // Gone by itself meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Moves an entry to a place where nothing of the drive's is. Whether it is there now.
    pub(super) fn move_clearing(&self, from: &Path, to: &Path, kept: &mut Vec<Kept>) -> io::Result<bool> {
        let (source, target) = (self.spot(from)?, self.spot(to)?);
        for _ in 0..MAX_TRIES {
            if source.move_to_free(&target)? {
                self.touch(from);
                self.touch(to);
                return Ok(true);
            }
            let (Some(here), Some(there)) = (source.metadata()?, target.metadata()?) else { continue };
            if spot::same(&here, &there) {
                // One entry under two spellings, on a file system to which they are the same name.
                source.dir.rename(&source.name, &target.dir, &target.name)?;
                self.touch(from);
                self.touch(to);
                return Ok(true);
            }
            self.clear(to, kept)?;
        }
        Ok(false)
    }

    /// Puts a whole file, written elsewhere, in place. Whether it is there now.
    pub(super) fn put_in_place(
        &self,
        from: &Path,
        to: &Path,
        placement: &Placement,
        kept: &mut Vec<Kept>,
    ) -> io::Result<bool> {
        let (new, place) = (self.spot(from)?, self.spot(to)?);
        for _ in 0..MAX_TRIES {
            if new.move_to_free(&place)? {
                self.touch(to);
                return Ok(true);
            }
            let Some(there) = place.metadata()? else { continue };
            if may_replace(&new, &place, &there, placement)? {
                if self.replace(&new, (&place, to), &there, placement, kept)? {
                    self.touch(to);
                    return Ok(true);
                }
            } else {
                let reason = match &placement.expected {
                    Some(_) if there.is_file() => KeptReason::LocalEdit,
                    Some(_) | None => KeptReason::Stranger,
                };
                kept.push(self.set_aside(to, reason)?);
            }
        }
        Ok(false)
    }

    /// Replaces a file that was judged to be replaceable. Not done where somebody changed it since.
    fn replace(
        &self,
        new: &Spot,
        (place, to): (&Spot, &Path),
        there: &Metadata,
        placement: &Placement,
        kept: &mut Vec<Kept>,
    ) -> io::Result<bool> {
        // Before anything is done that cannot be taken back.
        let bin =
            if placement.deletes_replaced && self.keeps_deleted() { Some(self.bin_for(to)?) } else { None };
        match new.swap(place) {
            Ok(true) => {}
            Ok(false) => {
                if let Some(bin) = &bin {
                    self.throw_away(place, bin)?;
                }
                new.dir.rename(&new.name, &place.dir, &place.name)?;
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        // What was replaced is in our hands now, under the name of the new file, and may have changed since it was judged.
        match new.metadata()? {
            Some(replaced) if spot::same(&replaced, there) => match &bin {
                Some(bin) => self.throw_away(new, bin)?,
                None => new.dir.remove_file(&new.name)?,
            },
            Some(_) => kept.push(self.set_aside_from(new, to, KeptReason::LocalEdit)?),
            None => {}
        }
        Ok(true)
    }

    /// Deletes a file that is ours; keeps any other.
    pub(super) fn delete(&self, path: &Path, expected: &Baseline, kept: &mut Vec<Kept>) -> io::Result<()> {
        let spot = match self.spot(path) {
            Ok(spot) => spot,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(there) = spot.metadata()? else { return Ok(()) };
        if !is_ours(&spot, &there, expected)? {
            kept.push(self.set_aside(path, KeptReason::LocalEdit)?);
            return Ok(());
        }
        self.touch(path);
        if self.keeps_deleted() {
            return self.throw_away(&spot, &self.bin_for(path)?);
        }
        // Taken away first and looked at again: somebody may have changed it meanwhile.
        let away = self.spot(&self.temporary_path())?;
        if !spot.move_to_free(&away)? {
            return Err(ErrorKind::AlreadyExists.into());
        }
        match away.metadata()? {
            Some(taken) if spot::same(&taken, &there) => away.dir.remove_file(&away.name)?,
            Some(_) => kept.push(self.set_aside_from(&away, path, KeptReason::LocalEdit)?),
            None => {}
        }
        Ok(())
    }

    /// A name in the temporary folder that nothing else has.
    pub(super) fn temporary_path(&self) -> PathBuf {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        own(TEMPORARY_FOLDER).join(format!("{}-{number}", self.temporary_prefix))
    }
}

/// Where something that is set aside is to be found: beside its place, and never inside Sluice's own folder.
fn visible_place(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder == own(STAGING_FOLDER) {
        Ok((PathBuf::new(), local_name::unstaged(name).to_owned()))
    } else {
        Ok((folder.to_owned(), name.to_owned()))
    }
}

pub(super) fn segments(path: &Path) -> Vec<String> {
    path.iter().map(|segment| segment.to_string_lossy().into_owned()).collect()
}
