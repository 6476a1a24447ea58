//! One item of a drive, kept small: a drive of a million of them has to fit beside everything else on a laptop.

use std::sync::Arc;

use crate::content::ContentReader;
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
    /// A folder, what is directly in it, in no order, and a number that counts changes of anything below it.
    Folder { children: Vec<Slot>, content_version: u32 },
    /// Neither: a package, or a shortcut into another drive.
    Opaque,
}

/// What few items have. It is kept beside the items, so that the others do not pay for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// What makes the item special.
    pub(crate) facet: Option<Facet>,
    /// When a client says the item was created and last modified (`fileSystemInfo`), milliseconds since the Unix epoch.
    pub(crate) created_ms: Option<u64>,
    pub(crate) modified_ms: Option<u64>,
    /// A content that does not follow from the item: uploaded, or copied from another file.
    pub(crate) content: Option<ContentReader>,
    /// The change by which somebody shared the item with others.
    pub(crate) shared_at: Option<u64>,
}

/// What makes an item special (graph-behaviour §1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Facet {
    /// A package of this type, such as `oneNote`: neither file nor folder.
    Package(String),
    /// A file that is infected.
    Malware,
    /// A shortcut to an item of another drive: the ids of drive and item.
    Remote { drive: String, item: String },
    /// A Personal Vault, locked or open.
    Vault { locked: bool },
    /// A special folder of this name, such as `approot`.
    Special(String),
}

impl Facet {
    /// The member of an item that tells it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Package(_) => "package",
            Self::Malware => "malware",
            Self::Remote { .. } => "remoteItem",
            Self::Vault { .. } => "vault",
            Self::Special(_) => "specialFolder",
        }
    }
}

impl Item {
    /// Whether the item is a folder.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.node, Node::Folder { .. })
    }

    /// Whether the item is a file.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self.node, Node::File { .. })
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
    /// The place of its latest change.
    pub(crate) sequence: u64,
    pub(crate) extra: Option<Arc<Extra>>,
}

/// What a copied item is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SnapshotKind {
    File { content_version: u32, quick_xor: Option<[u8; HASH_BYTES]> },
    Folder { child_count: usize, content_version: u32 },
    Opaque,
}

impl Snapshot {
    /// What makes the item special.
    pub(crate) fn facet(&self) -> Option<&Facet> {
        self.extra.as_ref()?.facet.as_ref()
    }

    /// Whether it is a folder.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.kind, SnapshotKind::Folder { .. })
    }

    /// Copies an item.
    pub(super) fn of(slot: Slot, item: &Item, extra: Option<&Arc<Extra>>) -> Self {
        let kind = match &item.node {
            Node::File { content_version, quick_xor } => {
                SnapshotKind::File { content_version: *content_version, quick_xor: *quick_xor }
            }
            Node::Folder { children, content_version } => {
                SnapshotKind::Folder { child_count: children.len(), content_version: *content_version }
            }
            Node::Opaque => SnapshotKind::Opaque,
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
            sequence: item.sequence,
            extra: extra.cloned(),
        }
    }
}
