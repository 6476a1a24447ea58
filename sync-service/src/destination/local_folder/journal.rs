//! The journal: what is under way, so that a later worker can tell what an earlier one did before it died.
//!
//! It is replaced as a whole, so it is always readable, and holds only changes that may be under way at the same time: none of
//! them uses a place that another one of them makes or frees. That is why looking at the places tells what was made.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cap_std::fs::{Dir, Metadata};
use graph_client::quick_xor::QuickXor;

use super::{found, sync_folder};
use crate::{
    destination::{Change, Intent},
    domain::local_name::OWN_FOLDER,
};

/// Inside [`OWN_FOLDER`]: one intent per line, as JSON.
const JOURNAL_FILE: &str = "journal";

/// Inside [`OWN_FOLDER`]: the next journal while it is written.
const NEXT_JOURNAL_FILE: &str = "journal.next";

/// Largest journal that is read, in bytes: far more than the changes that can be under way take.
const MAX_JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// File systems keep modification times with at least this precision.
const COARSEST_TIME: Duration = Duration::from_secs(2);

/// Bytes read at once to compare a file's content.
const READ_BYTES: usize = 256 * 1024;

/// Replaces the journal, durably.
pub(super) fn write(root: &Dir, intents: &[Intent]) -> io::Result<()> {
    let own = root.open_dir(OWN_FOLDER)?;
    if intents.is_empty() {
        // Nothing follows that could make the old one wrong, should it come back with a loss of power: before anything else is
        // done, a new one is written.
        return found(own.remove_file(JOURNAL_FILE)).map(|_| ());
    }
    let mut file = io::BufWriter::new(own.create(NEXT_JOURNAL_FILE)?);
    for intent in intents {
        serde_json::to_writer(&mut file, intent)?;
        file.write_all(b"\n")?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    own.rename(NEXT_JOURNAL_FILE, &own, JOURNAL_FILE)?;
    sync_folder(&own)
}

/// The changes in the journal that were made.
pub(super) fn made(root: &Dir) -> io::Result<Vec<Intent>> {
    let file = match root.open(Path::new(OWN_FOLDER).join(JOURNAL_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut made = Vec::new();
    for line in BufReader::new(file.take(MAX_JOURNAL_BYTES)).lines() {
        let intent: Intent = serde_json::from_str(&line?)?;
        if was_made(root, &intent)? {
            made.push(intent);
        }
    }
    Ok(made)
}

fn was_made(root: &Dir, intent: &Intent) -> io::Result<bool> {
    let path: PathBuf = intent.path.iter().collect();
    let there = metadata(root, &path)?;
    match &intent.change {
        Change::MakeFolder => Ok(there.is_some_and(|entry| entry.is_dir())),
        Change::Move { from } => {
            Ok(there.is_some() && metadata(root, &from.iter().collect::<PathBuf>())?.is_none())
        }
        Change::Delete => Ok(there.is_none()),
        Change::SetTimes { modified } => {
            Ok(there.is_some_and(|entry| has_time(&entry, *modified, Duration::ZERO)))
        }
        Change::PutContent { size, hash, modified } => {
            match there {
                Some(entry) if entry.is_file() => {
                    let timely = modified.is_none_or(|modified| has_time(&entry, modified, COARSEST_TIME));
                    match hash {
                        _ if !timely => Ok(false),
                        Some(hash) => Ok(content_hash(root, &path)? == *hash),
                        // The time alone tells where bytes cannot be compared, and the size where there is no time either.
                        None => Ok(modified.is_some()
                            || i64::try_from(entry.len()).is_ok_and(|length| length == *size)),
                    }
                }
                _ => Ok(false),
            }
        }
    }
}

fn metadata(root: &Dir, path: &Path) -> io::Result<Option<Metadata>> {
    match root.symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_time(entry: &Metadata, millis: i64, tolerance: Duration) -> bool {
    // A time before 1970 is not set, see `set_modified`: then any will do.
    let Ok(millis) = u64::try_from(millis) else { return true };
    let wanted = UNIX_EPOCH + Duration::from_millis(millis);
    let Ok(found) = entry.modified().map(cap_std::time::SystemTime::into_std) else { return false };
    distance(found, wanted) <= tolerance
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

fn content_hash(root: &Dir, path: &Path) -> io::Result<String> {
    let mut file = root.open(path)?;
    let mut hash = QuickXor::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hash.base64());
        };
        hash.update(bytes);
    }
}
