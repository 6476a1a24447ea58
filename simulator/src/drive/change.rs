//! Changes to a drive, as a test, the control interface or chance asks for them.

use serde::{Deserialize, Serialize};

use super::ids::Ids;
use super::item::{Facet, ROOT, Slot};
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
    /// A new package, which is neither a file nor a folder (graph-behaviour §4.4).
    Package {
        /// The folder it goes into.
        parent: String,
        /// Its name.
        name: String,
        /// Its type, such as `oneNote`.
        kind: String,
    },
    /// A shortcut to an item of another drive (graph-behaviour §1.3).
    Shortcut {
        /// The folder it goes into.
        parent: String,
        /// Its name.
        name: String,
        /// Id of the other drive.
        drive: String,
        /// Id of the item there.
        target: String,
    },
    /// A Personal Vault in the root, open (graph-behaviour §1.3).
    Vault {
        /// Its name.
        name: String,
    },
    /// A Personal Vault is locked or opened. While it is locked, what is in it looks deleted.
    LockVault {
        /// The vault.
        item: String,
        /// Whether it is locked from now on.
        locked: bool,
    },
    /// A file turns out to be infected (graph-behaviour §4.4).
    Infect {
        /// The file.
        item: String,
    },
    /// An item is shared with everybody of the tenant.
    Share {
        /// The file or folder.
        item: String,
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
    /// Milliseconds since the Unix epoch.
    pub(crate) now_ms: u64,
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
    if let Some(made) = special(tree, ids, change, how) {
        return made;
    }
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
        Change::Package { .. }
        | Change::Shortcut { .. }
        | Change::Vault { .. }
        | Change::LockVault { .. }
        | Change::Infect { .. }
        | Change::Share { .. } => Err(ChangeError::NotFound),
    }
}

/// Makes a change about a special item; none for the others.
fn special(
    tree: &mut Tree,
    ids: &Ids,
    change: &Change,
    how: Circumstances,
) -> Option<Result<Slot, ChangeError>> {
    let find = |tree: &Tree, reference: &str| resolve(tree, ids, reference).ok_or(ChangeError::NotFound);
    let opaque = |tree: &mut Tree, parent: &str, name: &str, facet| {
        let parent = find(tree, parent)?;
        let slot = tree.create_opaque(&Place { parent, name }, how.now)?;
        tree.extra_mut(slot).facet = Some(facet);
        Ok(slot)
    };
    Some(match change {
        Change::Package { parent, name, kind } => opaque(tree, parent, name, Facet::Package(kind.clone())),
        Change::Shortcut { parent, name, drive, target } => {
            let facet = Facet::Remote { drive: drive.clone(), item: target.clone() };
            opaque(tree, parent, name, facet)
        }
        Change::Vault { name } => {
            tree.create_folder(&Place { parent: ROOT, name }, how.now).inspect(|slot| {
                tree.extra_mut(*slot).facet = Some(Facet::Vault { locked: false });
            })
        }
        Change::LockVault { item, locked } => {
            find(tree, item).and_then(|slot| tree.lock_vault(slot, *locked).map(|()| slot))
        }
        Change::Infect { item } => find(tree, item).and_then(|slot| {
            if tree.get(slot).is_none_or(|item| !item.is_file()) {
                return Err(ChangeError::NotAFile);
            }
            tree.extra_mut(slot).facet = Some(Facet::Malware);
            tree.touch(slot);
            Ok(slot)
        }),
        Change::Share { item } => find(tree, item).inspect(|slot| {
            tree.share(*slot);
        }),
        Change::CreateFile { .. }
        | Change::Mkdir { .. }
        | Change::Edit { .. }
        | Change::Rename { .. }
        | Change::Move { .. }
        | Change::Delete { .. }
        | Change::SwapNames { .. } => return None,
    })
}
