//! One item of a drive, kept small: a drive of a million of them has to fit beside everything else on a laptop.

use crate::quick_xor::HASH_BYTES;

/// The number of an item in its drive; its id is derived from it.
pub(crate) type Slot = u32;

/// The slot of the root folder.
pub(crate) const ROOT: Slot = 0;

/// An item as the drive keeps it, alive or a tombstone.
#[derive(Debug)]
pub(crate) struct Item {
    /// Name in its parent. Empty for the root, and for tombstones of drives that do not tell it.
    pub(crate) name: Box<str>,
    /// What it is.
    pub(crate) node: Node,
    /// Bytes of a file; of a folder, bytes of everything below it.
    pub(crate) size: u64,
    /// When it last changed, in the drive's own count: its place in the delta feed.
    pub(crate) sequence: u64,
    /// The folder it is in; the root is its own parent.
    pub(crate) parent: Slot,
    /// Created, seconds since the Unix epoch.
    pub(crate) created: u32,
    /// Last modified, seconds since the Unix epoch.
    pub(crate) modified: u32,
    /// The number in the eTag: counts every change.
    pub(crate) version: u32,
    /// False for a tombstone.
    pub(crate) alive: bool,
}

/// What an item is.
#[derive(Debug)]
pub(crate) enum Node {
    /// A file: the number in the cTag, which counts changes of content, and the hash of that content once it was needed.
    File { content_version: u32, quick_xor: Option<[u8; HASH_BYTES]> },
    /// A folder and what is directly in it, in no order.
    Folder { children: Vec<Slot> },
}

impl Item {
    /// Whether the item is a folder.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.node, Node::Folder { .. })
    }
}

/// A copy of what an item looks like at one moment, so that answers are written without holding the drive.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) slot: Slot,
    pub(crate) parent: Slot,
    pub(crate) name: Box<str>,
    pub(crate) size: u64,
    pub(crate) created: u32,
    pub(crate) modified: u32,
    pub(crate) version: u32,
    pub(crate) alive: bool,
    pub(crate) kind: SnapshotKind,
}

/// What a copied item is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SnapshotKind {
    File { content_version: u32, quick_xor: Option<[u8; HASH_BYTES]> },
    Folder { child_count: usize },
}

impl Snapshot {
    /// Copies an item.
    pub(crate) fn of(slot: Slot, item: &Item) -> Self {
        let kind = match &item.node {
            Node::File { content_version, quick_xor } => {
                SnapshotKind::File { content_version: *content_version, quick_xor: *quick_xor }
            }
            Node::Folder { children } => SnapshotKind::Folder { child_count: children.len() },
        };
        Self {
            slot,
            parent: item.parent,
            name: item.name.clone(),
            size: item.size,
            created: item.created,
            modified: item.modified,
            version: item.version,
            alive: item.alive,
            kind,
        }
    }
}
