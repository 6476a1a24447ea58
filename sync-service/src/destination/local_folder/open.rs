//! Opens a mirror's folder: is it the right one, and does nobody else use it?

use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};

use super::{Inner, LocalFolder, LocalFolderOptions, STAGING_FOLDER, TEMPORARY_FOLDER, spot, sync_folder};
use crate::{
    destination::{DestinationError, Marker, marker::MARKER_FILE},
    domain::local_name::OWN_FOLDER,
};

/// Inside [`OWN_FOLDER`]: held while a worker uses the destination.
const LOCK_FILE: &str = "lock";

/// Inside [`OWN_FOLDER`]: an empty file whose name has two Unicode forms.
const ACCENTED_FILE: &str = "names-\u{e9}";

/// Other spellings of [`MARKER_FILE`] and [`ACCENTED_FILE`]: in case, and in Unicode form.
const OTHER_SPELLINGS: [&str; 2] = ["SOURCE.JSON", "names-e\u{301}"];

pub(super) fn open(
    path: &Path,
    marker: &Marker,
    filled_before: bool,
    options: LocalFolderOptions,
) -> Result<LocalFolder, DestinationError> {
    let io = |what: &'static str| {
        move |source| DestinationError::Io { what, path: path.display().to_string(), source }
    };
    check_place(path, filled_before)?;
    std::fs::create_dir_all(path).map_err(io("make the destination"))?;
    let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(io("open the destination"))?;
    check_root(&root, path, marker, filled_before)?;
    let marker_path = own(MARKER_FILE);
    for folder in [TEMPORARY_FOLDER, STAGING_FOLDER] {
        root.create_dir_all(own(folder)).map_err(io("write to the destination"))?;
        // Real folders: through a symbolic link, somebody's files would be taken for Sluice's own.
        spot::find(&root, &own(folder))
            .and_then(|spot| spot.open_folder())
            .map_err(io("use Sluice's own folder in"))?;
    }
    let lock = lock(&root, path)?;
    // Another source may have taken the folder since it was looked at; from here on none can.
    match root.read_to_string(&marker_path) {
        Ok(text) => check_marker(path, &text, marker)?,
        Err(_) => write_marker(&root, &marker_path, marker).map_err(io("write the marker of"))?,
    }
    empty_temporary(&root).map_err(io("clear the temporary files of"))?;
    let folds_names = folds_names(&root).map_err(io("see how names compare in"))?;
    let inner = Inner {
        root,
        options,
        folds_names,
        temporary_prefix: format!("{:016x}", rand::random::<u64>()),
        next_temporary: AtomicU64::new(0),
        room_taken: Arc::default(),
        touched: Mutex::default(),
        flush_failed: AtomicBool::new(false),
        _lock: lock,
    };
    Ok(LocalFolder { inner: Arc::new(inner) })
}

/// Whether a mirror can be there at all.
pub(super) fn check_place(path: &Path, filled_before: bool) -> Result<(), DestinationError> {
    if filled_before && !path.is_dir() {
        return Err(missing_mirror(path));
    }
    if path.exists() && !path.is_dir() {
        return Err(DestinationError::Refused {
            reason: "DESTINATION_NOT_A_FOLDER",
            path: path.to_owned(),
            what: "is a file; a mirror needs a folder".to_owned(),
        });
    }
    Ok(())
}

/// Whether a folder is this mirror, or may become it.
pub(super) fn check_root(
    root: &Dir,
    path: &Path,
    marker: &Marker,
    filled_before: bool,
) -> Result<(), DestinationError> {
    let io = |what: &'static str| {
        move |source| DestinationError::Io { what, path: path.display().to_string(), source }
    };
    match root.read_to_string(own(MARKER_FILE)) {
        Ok(text) => check_marker(path, &text, marker),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if filled_before {
                return Err(missing_mirror(path));
            }
            let mut entries = root.entries().map_err(io("list the destination"))?;
            if entries.any(|entry| entry.map_or(true, |entry| entry.file_name() != OWN_FOLDER)) {
                return Err(DestinationError::Refused {
                    reason: "DESTINATION_NOT_EMPTY",
                    path: path.to_owned(),
                    what: "holds files already; a mirror needs a folder of its own".to_owned(),
                });
            }
            Ok(())
        }
        Err(error) => Err(io("read the marker of")(error)),
    }
}

/// A path inside [`OWN_FOLDER`].
pub(super) fn own(name: &str) -> PathBuf {
    Path::new(OWN_FOLDER).join(name)
}

fn missing_mirror(path: &Path) -> DestinationError {
    DestinationError::Refused {
        reason: "DESTINATION_MISSING",
        path: path.to_owned(),
        what: "was filled before and is not there now; mount it, or remove the source and add it again"
            .to_owned(),
    }
}

fn check_marker(path: &Path, text: &str, marker: &Marker) -> Result<(), DestinationError> {
    match serde_json::from_str::<Marker>(text) {
        Ok(found) if found == *marker => Ok(()),
        Ok(found) => Err(DestinationError::Refused {
            reason: "DESTINATION_TAKEN",
            path: path.to_owned(),
            what: format!(
                "is the mirror of {} made {}; use another folder, or move this one away",
                found.source, found.source_create_time
            ),
        }),
        Err(error) => Err(DestinationError::Refused {
            reason: "DESTINATION_TAKEN",
            path: path.to_owned(),
            what: format!("has a marker that cannot be read ({error}); use another folder"),
        }),
    }
}

fn lock(root: &Dir, path: &Path) -> Result<File, DestinationError> {
    let io = |source| DestinationError::Io { what: "lock", path: path.display().to_string(), source };
    let options = OpenOptions::new().write(true).create(true).clone();
    let file = root.open_with(own(LOCK_FILE), &options).map_err(io)?.into_std();
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DestinationError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Looks for files of Sluice's own under other spellings of their names. File systems differ in this, and so do folders of one; those
/// below Sluice's own folder's are like it.
fn folds_names(root: &Dir) -> io::Result<bool> {
    match root.symlink_metadata(own(ACCENTED_FILE)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => match root.write(own(ACCENTED_FILE), []) {
            Ok(()) => {}
            // A file system that has no such letter has no spellings of it either.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    }
    has_other_spellings(root)
}

/// Whether one of those files is there under another spelling.
pub(super) fn has_other_spellings(root: &Dir) -> io::Result<bool> {
    for spelling in OTHER_SPELLINGS {
        match root.symlink_metadata(own(spelling)) {
            Ok(_) => return Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Writes the marker whole or not at all.
fn write_marker(root: &Dir, marker_path: &Path, marker: &Marker) -> io::Result<()> {
    let temporary = own(TEMPORARY_FOLDER).join(MARKER_FILE);
    root.write(&temporary, serde_json::to_vec_pretty(marker)?)?;
    root.open(&temporary)?.sync_all()?;
    root.rename(&temporary, root, marker_path)?;
    sync_folder(&root.open_dir(OWN_FOLDER)?)
}

/// Removes what a worker that was killed left half written.
fn empty_temporary(root: &Dir) -> io::Result<()> {
    let folder = root.open_dir(own(TEMPORARY_FOLDER))?;
    for entry in folder.entries()? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            entry.remove_file()?;
        }
    }
    Ok(())
}
