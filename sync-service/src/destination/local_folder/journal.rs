//! The journal: what is under way, so that a later worker can tell what an earlier one did before it died.
//!
//! It is replaced as a whole, so it is always readable, and holds only changes that may be under way at the same time: none of
//! them uses a place that another one of them makes or frees. That is why looking at the places tells what was made.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use cap_std::fs::{Dir, Metadata};

use super::{
    found,
    keep::content_hash,
    spot::{self, Spot},
    sync_folder,
};
use crate::{
    destination::{Change, Intent, Made},
    domain::{
        baseline::{Baseline, Look},
        local_name::OWN_FOLDER,
    },
};

/// Inside [`OWN_FOLDER`]: one intent per line, as JSON.
const JOURNAL_FILE: &str = "journal";

/// Inside [`OWN_FOLDER`]: the next journal while it is written.
const NEXT_JOURNAL_FILE: &str = "journal.next";

/// Largest journal that is read, in bytes: far more than the changes that can be under way take.
const MAX_JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// File systems keep modification times with at least this precision.
const COARSEST_TIME: Duration = Duration::from_secs(2);

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

/// The changes in the journal.
pub(super) fn read(root: &Dir) -> io::Result<Vec<Intent>> {
    let file = match root.open(Path::new(OWN_FOLDER).join(JOURNAL_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = BufReader::new(file.take(MAX_JOURNAL_BYTES)).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// The changes in the journal that were made.
pub(super) fn made(root: &Dir) -> io::Result<Vec<Made>> {
    let mut made = Vec::new();
    for intent in read(root)? {
        match was_made(root, &intent)? {
            Found::Not => {}
            Found::Made => made.push(Made { intent, file: None }),
            Found::MadeFile(file) => made.push(Made { intent, file: Some(file) }),
        }
    }
    Ok(made)
}

/// What the destination tells of an announced change.
enum Found {
    /// It was not made.
    Not,
    /// It was made.
    Made,
    /// It was made, and left this file.
    MadeFile(Baseline),
}

fn was_made(root: &Dir, intent: &Intent) -> io::Result<Found> {
    let there = look(root, &intent.path)?;
    let without_file = |made: bool| if made { Found::Made } else { Found::Not };
    Ok(match &intent.change {
        Change::MakeFolder => without_file(there.is_some_and(|(_, entry)| entry.is_dir())),
        Change::Move { from } => without_file(there.is_some() && look(root, from)?.is_none()),
        Change::Delete => without_file(there.is_none()),
        Change::SetTimes { modified } => there
            .filter(|(_, entry)| has_time(entry, *modified, Duration::ZERO))
            .map_or(Found::Not, |(_, entry)| Found::MadeFile(state(&entry, None))),
        Change::PutContent { size, hash, modified, expected } => match there {
            Some((spot, entry)) if entry.is_file() => {
                let content = Content { size: *size, hash: hash.as_deref(), modified: *modified };
                content_made(&spot, &entry, &content, expected.as_ref())?
            }
            Some(_) | None => Found::Not,
        },
    })
}

/// A content that was to be put in place.
struct Content<'a> {
    size: i64,
    hash: Option<&'a str>,
    modified: Option<i64>,
}

fn content_made(
    spot: &Spot,
    entry: &Metadata,
    content: &Content<'_>,
    expected: Option<&Baseline>,
) -> io::Result<Found> {
    let timely = content.modified.is_none_or(|modified| has_time(entry, modified, COARSEST_TIME));
    if !timely {
        return Ok(Found::Not);
    }
    if let Some(wanted) = content.hash {
        let made = content_hash(spot)? == wanted;
        return Ok(if made { Found::MadeFile(state(entry, content.hash)) } else { Found::Not });
    }
    // The old file where it was, which may have the time of the new one.
    let size = i64::try_from(entry.len()).unwrap_or(i64::MAX);
    if expected.is_some_and(|old| old.look(size, Some(spot::modified(entry))) == Look::Unchanged) {
        return Ok(Found::Not);
    }
    // The time alone tells where bytes cannot be compared, and the size where there is no time either.
    let made = content.modified.is_some() || size == content.size;
    if !made {
        return Ok(Found::Not);
    }
    let hash = content_hash(spot)?;
    Ok(Found::MadeFile(state(entry, Some(&hash))))
}

fn state(entry: &Metadata, hash: Option<&str>) -> Baseline {
    Baseline {
        size: i64::try_from(entry.len()).ok(),
        modified: Some(spot::modified(entry)),
        hash: hash.map(str::to_owned),
    }
}

fn look(root: &Dir, path: &[String]) -> io::Result<Option<(Spot, Metadata)>> {
    let path: PathBuf = path.iter().collect();
    let spot = match spot::find(root, &path) {
        Ok(spot) => spot,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(spot.metadata()?.map(|entry| (spot, entry)))
}

fn has_time(entry: &Metadata, millis: i64, tolerance: Duration) -> bool {
    // A time before 1970 is not set, see `set_modified`: then any will do.
    millis < 0
        || spot::modified(entry).as_millis().abs_diff(millis)
            <= u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX)
}
