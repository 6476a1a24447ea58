//! Compares the mirror with the simulator's drive: every path in both directions, every byte.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use service_kit::exit::Exit;
use simulator::{DriveHandle, Entry, EntryKind};
use sync_service::domain::local_name::{self, OWN_FOLDER};

use crate::failure::Failure;

/// Bytes compared at once.
const BLOCK: usize = 1 << 20;

/// What was compared and found equal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    files: u64,
    folders: u64,
    bytes: u64,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {} folders, {} bytes compared", self.files, self.folders, self.bytes)
    }
}

/// Compares.
///
/// # Errors
/// Names the first difference.
pub(super) fn compare(drive: &DriveHandle, mirror: &Path) -> Result<Compared, Failure> {
    let mut compared = Compared::default();
    let mut expected: BTreeSet<PathBuf> = BTreeSet::new();
    // Parents come first, so every folder's place is known before what lies in it.
    let mut places: HashMap<Vec<String>, PathBuf> = HashMap::from([(Vec::new(), mirror.to_owned())]);
    for entry in drive.walk() {
        let place = place(&entry, &places)?;
        match entry.kind {
            EntryKind::Folder => {
                if !place.is_dir() {
                    return Err(difference(&place, "is no folder"));
                }
                places.insert(entry.path.clone(), place.clone());
                compared.folders += 1;
            }
            EntryKind::File => {
                compared.bytes += compare_file(drive, &entry, &place)?;
                compared.files += 1;
            }
        }
        expected.insert(place);
    }
    match extra(mirror, mirror, &expected)? {
        Some(path) => Err(difference(&path, "is not in the drive")),
        None => Ok(compared),
    }
}

fn place(entry: &Entry, places: &HashMap<Vec<String>, PathBuf>) -> Result<PathBuf, Failure> {
    let (name, parent) =
        entry.path.split_last().ok_or_else(|| Failure::new(Exit::Failure, "the drive lists its root"))?;
    let parent =
        places.get(parent).ok_or_else(|| Failure::new(Exit::Failure, "the drive lists no parent"))?;
    Ok(parent.join(local_name::encode(name, &entry.id)))
}

fn compare_file(drive: &DriveHandle, entry: &Entry, place: &Path) -> Result<u64, Failure> {
    let reader =
        drive.content_reader(&entry.id).ok_or_else(|| difference(place, "has no content in the drive"))?;
    let mut file = File::open(place).map_err(|error| unreadable(place, &error))?;
    let (mut wanted, mut found) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut offset = 0;
    loop {
        let length = reader.read_at(offset, &mut wanted);
        let (Some(wanted), Some(found)) = (wanted.get(..length), found.get_mut(..length)) else {
            return Err(difference(place, "was read beyond its end"));
        };
        file.read_exact(found).map_err(|error| unreadable(place, &error))?;
        if wanted != found {
            return Err(difference(place, "holds other bytes than the drive"));
        }
        if length == 0 {
            break;
        }
        offset += u64::try_from(length).unwrap_or(u64::MAX);
    }
    let more = file.read(&mut found).map_err(|error| unreadable(place, &error))?;
    if more > 0 || offset != reader.size() {
        return Err(difference(place, "has another length than in the drive"));
    }
    Ok(offset)
}

/// The first path at the mirror that should not be there.
fn extra(root: &Path, folder: &Path, expected: &BTreeSet<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    let entries = folder.read_dir().map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if folder == root && path.ends_with(OWN_FOLDER) {
            continue;
        }
        if !expected.contains(&path) {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(found) = extra(root, &path, expected)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn difference(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::Failure, format!("the mirror differs from the drive: {} {what}", path.display()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::from_error(
        Exit::Failure,
        &format!("the mirror differs from the drive: {}", path.display()),
        error,
    )
}
