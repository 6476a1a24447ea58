//! Changes to a drive, as a test, the control interface or chance asks for them.

use serde::{Deserialize, Serialize};

use super::ids::Ids;
use super::item::{ROOT, Slot};
use super::tree::{Place, Tree};

/// One change. Items are named by id, or by path when the text begins with `/`; `/` is the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A new file.
    CreateFile {
        /// The folder it goes into.
        parent: String,
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A new folder.
    Mkdir {
        /// The folder it goes into.
        parent: String,
        /// Its name.
        name: String,
    },
    /// A new content for a file.
    Edit {
        /// The file.
        item: String,
        /// The new size in bytes; none keeps the old one.
        #[serde(default)]
        size: Option<u64>,
    },
    /// A new name in the same folder.
    Rename {
        /// The file or folder.
        item: String,
        /// The new name.
        name: String,
    },
    /// A new place.
    Move {
        /// The file or folder.
        item: String,
        /// The folder it goes into.
        parent: String,
        /// The new name; none keeps the old one.
        #[serde(default)]
        name: Option<String>,
    },
    /// A deletion, with everything below.
    Delete {
        /// The file or folder.
        item: String,
    },
    /// Two items take each other's name.
    SwapNames {
        /// One.
        left: String,
        /// The other.
        right: String,
    },
}

/// Why a change was refused. The drive is as it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No live item has that id or path.
    #[error("no such item")]
    NotFound,
    /// Only files have content.
    #[error("not a file")]
    NotAFile,
    /// Only folders have children.
    #[error("not a folder")]
    NotAFolder,
    /// The service does not accept the name.
    #[error("the name {0:?} is not allowed")]
    InvalidName(String),
    /// Another item of the folder has the name; case does not count.
    #[error("the name is taken")]
    NameTaken,
    /// A folder cannot go into itself.
    #[error("a folder cannot be moved into itself")]
    IntoItself,
    /// Folders are nested too deep.
    #[error("folders are nested too deep")]
    TooDeep,
    /// The root is neither moved, renamed nor deleted.
    #[error("the root cannot be changed")]
    RootIsFixed,
}

/// What a change needs beside the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Seconds since the Unix epoch.
    pub(crate) now: u32,
    /// Whether deleting a folder announces its descendants too.
    pub(crate) announce_all: bool,
}

/// Finds an item by id or path.
pub(crate) fn resolve(tree: &Tree, ids: &Ids, reference: &str) -> Option<Slot> {
    if reference == "root" {
        return Some(ROOT);
    }
    let Some(path) = reference.strip_prefix('/') else {
        return ids.slot(reference).filter(|slot| tree.get(*slot).is_some());
    };
    path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, |at, name| tree.child(at, name))
}

/// Makes one change and returns the item it was about.
pub(crate) fn apply(
    tree: &mut Tree,
    ids: &Ids,
    change: &Change,
    how: Circumstances,
) -> Result<Slot, ChangeError> {
    let find = |tree: &Tree, reference: &str| resolve(tree, ids, reference).ok_or(ChangeError::NotFound);
    match change {
        Change::CreateFile { parent, name, size } => {
            let parent = find(tree, parent)?;
            tree.create_file(&Place { parent, name }, *size, how.now)
        }
        Change::Mkdir { parent, name } => {
            let parent = find(tree, parent)?;
            tree.create_folder(&Place { parent, name }, how.now)
        }
        Change::Edit { item, size } => {
            let slot = find(tree, item)?;
            let size = size.or_else(|| tree.get(slot).map(|item| item.size)).unwrap_or_default();
            tree.edit(slot, size, how.now)?;
            Ok(slot)
        }
        Change::Rename { item, name } => {
            let slot = find(tree, item)?;
            let parent = tree.get(slot).ok_or(ChangeError::NotFound)?.parent;
            tree.relocate(slot, &Place { parent, name })?;
            Ok(slot)
        }
        Change::Move { item, parent, name } => {
            let slot = find(tree, item)?;
            let parent = find(tree, parent)?;
            let old = tree.get(slot).ok_or(ChangeError::NotFound)?.name.to_string();
            tree.relocate(slot, &Place { parent, name: name.as_deref().unwrap_or(&old) })?;
            Ok(slot)
        }
        Change::Delete { item } => {
            let slot = find(tree, item)?;
            tree.delete(slot, how.announce_all)?;
            Ok(slot)
        }
        Change::SwapNames { left, right } => {
            let (left, right) = (find(tree, left)?, find(tree, right)?);
            tree.swap_names(left, right)?;
            Ok(left)
        }
    }
}
