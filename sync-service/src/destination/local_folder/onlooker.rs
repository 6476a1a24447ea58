//! Looks at a mirror's folder and changes nothing in it: nothing is made, not even a lock.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use cap_std::{ambient_authority, fs::Dir};

use super::{blocking, keep, open, spot};
use crate::{
    destination::{DestinationError, KeptReason, Marker},
    domain::baseline::Baseline,
};

/// A folder of this machine that is only looked at.
#[derive(Clone)]
pub struct Onlooker {
    pub(super) root: Arc<Dir>,
    pub(super) folds_names: bool,
}

/// A place that an action would come upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Segments below the root.
    pub path: Vec<String>,
    /// The file that is expected there; `None` where nothing of the drive's is.
    pub expected: Option<Baseline>,
    /// Whether a folder is to be there: one that is there already is as good.
    pub for_folder: bool,
    /// `quickXorHash` of the content that is to be there: a file that has it already is as good.
    pub new_hash: String,
}

impl Onlooker {
    /// Opens a mirror's folder, judged as [`super::LocalFolder::open`] judges it. Nothing where it is still to be made.
    ///
    /// # Errors
    /// [`DestinationError::Refused`] when the folder is not what it should be, or what the system says.
    pub async fn open(
        path: PathBuf,
        marker: Marker,
        filled_before: bool,
    ) -> Result<Option<Self>, DestinationError> {
        blocking(move || {
            open::check_place(&path, filled_before)?;
            if !path.is_dir() {
                return Ok(None);
            }
            let io = |what: &'static str| {
                let path = path.display().to_string();
                move |source| DestinationError::Io { what, path, source }
            };
            let root =
                Dir::open_ambient_dir(&path, ambient_authority()).map_err(io("open the destination"))?;
            open::check_root(&root, &path, &marker, filled_before)?;
            let folds_names = open::has_other_spellings(&root).map_err(io("see how names compare in"))?;
            Ok(Some(Self { root: Arc::new(root), folds_names }))
        })
        .await
    }

    /// Whether names that differ in case or Unicode form only are one, as far as looking tells.
    pub fn folds_names(&self) -> bool {
        self.folds_names
    }

    /// What is there that would be kept under another name, and why.
    ///
    /// # Errors
    /// What the system says.
    pub async fn would_keep(&self, place: Place) -> Result<Option<KeptReason>, DestinationError> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            would_keep(&root, &place).map_err(|source| DestinationError::Io {
                what: "look at",
                path: place.path.join("/"),
                source,
            })
        })
        .await
    }
}

fn would_keep(root: &Dir, place: &Place) -> io::Result<Option<KeptReason>> {
    let path: PathBuf = place.path.iter().collect();
    let spot = match spot::find(root, &path) {
        Ok(spot) => spot,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(there) = spot.metadata()? else { return Ok(None) };
    let reason = match &place.expected {
        Some(expected) if keep::is_ours(&spot, &there, expected)? => return Ok(None),
        Some(_) if there.is_file() => KeptReason::LocalEdit,
        None if place.for_folder && there.is_dir() => return Ok(None),
        Some(_) | None => KeptReason::Stranger,
    };
    let is_new =
        there.is_file() && !place.new_hash.is_empty() && keep::content_hash(&spot)? == place.new_hash;
    Ok(Some(reason).filter(|_| !is_new))
}
