//! What happens to the demo's drive between the first and the second run.

use std::{collections::HashMap, fmt};

use proto::sync::v1::Run;
use service_kit::exit::Exit;
use simulator::{Change, DriveHandle, Entry, EntryKind};

use super::expect;
use crate::failure::Failure;

/// Files that are edited.
const EDITS: usize = 25;
/// Files that are added.
const ADDITIONS: usize = 15;
/// Files that are deleted.
const DELETIONS: usize = 10;

/// What was changed.
pub(super) struct Changes {
    files_below_folder: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{EDITS} files edited, {ADDITIONS} added, {DELETIONS} deleted, one moved, two with swapped names, and a folder \
             with {} files below it renamed",
            self.files_below_folder
        )
    }
}

impl Changes {
    /// Makes them.
    pub(super) fn make(drive: &DriveHandle) -> Result<Self, Failure> {
        let entries = drive.walk();
        let (folder, files_below_folder) = fullest_folder(&entries)?;
        // An empty file stays empty when it is edited, and the big one would make the second run a transfer test.
        let is_ordinary =
            |entry: &&Entry| entry.kind == EntryKind::File && (1..1_000_000).contains(&entry.size);
        let mut files = entries.iter().filter(is_ordinary);
        let mut next = || files.next().map(|entry| entry.id.clone()).ok_or_else(too_few);
        for _ in 0..EDITS {
            apply(drive, &Change::Edit { item: next()?, size: None })?;
        }
        for _ in 0..DELETIONS {
            apply(drive, &Change::Delete { item: next()? })?;
        }
        apply(drive, &Change::SwapNames { left: next()?, right: next()? })?;
        let new_folder = apply(drive, &Change::Mkdir { parent: "/".to_owned(), name: "Sorted".to_owned() })?;
        apply(drive, &Change::Move { item: next()?, parent: new_folder.clone(), name: None })?;
        for number in 0..ADDITIONS {
            let name = format!("new 🌱 {number}.txt");
            apply(drive, &Change::CreateFile { parent: new_folder.clone(), name, size: 5_000 })?;
        }
        apply(drive, &Change::Rename { item: folder, name: "Renamed as a whole".to_owned() })?;
        Ok(Self { files_below_folder })
    }

    /// Whether a run transferred what changed and nothing else.
    pub(super) fn check(run: &Run) -> Result<(), Failure> {
        let stats = run.stats.unwrap_or_default();
        let transferred = i64::try_from(EDITS + ADDITIONS).unwrap_or(i64::MAX);
        expect("only edited and added files are transferred", stats.files_transferred == transferred)?;
        let deleted = i64::try_from(DELETIONS).unwrap_or(i64::MAX);
        expect("only deleted files are deleted", stats.items_deleted == deleted)
    }
}

/// The folder with the most files below it, and how many these are.
fn fullest_folder(entries: &[Entry]) -> Result<(String, usize), Failure> {
    let mut below: HashMap<&[String], usize> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
        for depth in 1..entry.path.len() {
            *below.entry(entry.path.get(..depth).unwrap_or_default()).or_default() += 1;
        }
    }
    let folders = entries.iter().filter(|entry| entry.kind == EntryKind::Folder);
    folders
        .map(|folder| (folder.id.clone(), below.get(folder.path.as_slice()).copied().unwrap_or_default()))
        .max_by_key(|(_, files)| *files)
        .ok_or_else(too_few)
}

fn apply(drive: &DriveHandle, change: &Change) -> Result<String, Failure> {
    drive.apply(change).map_err(|error| Failure::from_error(Exit::Failure, "cannot change the drive", &error))
}

fn too_few() -> Failure {
    Failure::new(Exit::Failure, "the drive holds too few files for the demo")
}
