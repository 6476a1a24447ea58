//! The tree of a drive and the order of its changes, with every rule a change has to keep.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::bin::Bin;
use super::change::ChangeError;
use super::horizon::Horizon;
use super::item::{Extra, Item, Node, ROOT, Slot, Snapshot};
use super::names;
use super::versions::Histories;
use crate::quick_xor::HASH_BYTES;

/// Deepest nesting of folders; the service has no such number, but a path of 400 characters has no more segments either.
pub(crate) const MAX_DEPTH: usize = 200;

/// All items of a drive, alive and deleted.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) items: Vec<Item>,
    /// Live items by parent and fingerprint of the name. Two different names with one fingerprint count as a clash of names.
    names: HashMap<(Slot, u64), Slot>,
    /// Every item once, at the place of its latest change: the delta feed.
    pub(super) changes: BTreeMap<u64, Slot>,
    sequence: u64,
    live: u32,
    /// Whether a tombstone keeps its name, as OneDrive Personal tells it.
    keep_deleted_names: bool,
    /// What few items have.
    pub(super) extras: HashMap<Slot, Arc<Extra>>,
    /// When changes were made, and from where items were moved away.
    pub(crate) horizon: Horizon,
    /// Personal Vaults that are locked.
    pub(super) locked: HashSet<Slot>,
    /// Items that somebody shared with others.
    pub(super) shared: HashSet<Slot>,
    pub(super) bin: Bin,
    pub(super) histories: Histories,
}

impl Tree {
    /// A drive with nothing but a root.
    pub(crate) fn new(created: u32, keep_deleted_names: bool) -> Self {
        let mut tree = Self {
            items: Vec::new(),
            names: HashMap::new(),
            changes: BTreeMap::new(),
            sequence: 0,
            live: 0,
            keep_deleted_names,
            extras: HashMap::new(),
            horizon: Horizon::default(),
            locked: HashSet::new(),
            shared: HashSet::new(),
            bin: Bin::default(),
            histories: Histories::default(),
        };
        tree.push(ROOT, "root", Node::Folder { children: Vec::new(), content_version: 0 }, created);
        tree
    }

    /// Makes room, so that a large drive is filled without copying.
    pub(crate) fn reserve(&mut self, items: usize) {
        self.items.reserve_exact(items);
        self.names.reserve(items);
    }

    /// The place of the latest change.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Number of live items, the root included.
    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    /// Number of slots ever used.
    pub(crate) fn slots(&self) -> Slot {
        Slot::try_from(self.items.len()).unwrap_or(Slot::MAX)
    }

    /// An item, alive or deleted.
    pub(crate) fn any(&self, slot: Slot) -> Option<&Item> {
        self.items.get(usize::try_from(slot).ok()?)
    }

    /// A live item.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Item> {
        self.any(slot).filter(|item| item.alive)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Item> {
        self.items.get_mut(usize::try_from(slot).ok()?)
    }

    /// A copy of a live item.
    pub(crate) fn snapshot(&self, slot: Slot) -> Option<Snapshot> {
        self.get(slot).map(|item| Snapshot::of(slot, item, self.extras.get(&slot)))
    }

    /// A copy of an item, alive or deleted.
    pub(super) fn copy(&self, slot: Slot, item: &Item) -> Snapshot {
        Snapshot::of(slot, item, self.extras.get(&slot))
    }

    /// What is directly in a folder; empty for anything else.
    pub(crate) fn children(&self, slot: Slot) -> &[Slot] {
        match self.any(slot).map(|item| &item.node) {
            Some(Node::Folder { children, .. }) => children,
            Some(Node::File { .. } | Node::Opaque) | None => &[],
        }
    }

    /// The item of a name in a folder.
    pub(crate) fn child(&self, parent: Slot, name: &str) -> Option<Slot> {
        let slot = *self.names.get(&(parent, names::fingerprint(name)))?;
        self.get(slot).filter(|item| names::same(&item.name, name)).map(|_| slot)
    }

    /// The folders above an item, the nearest first, ending with the root.
    pub(crate) fn ancestors(&self, slot: Slot) -> Vec<Slot> {
        let mut chain = Vec::new();
        let mut at = slot;
        while at != ROOT && chain.len() <= MAX_DEPTH {
            let Some(item) = self.any(at) else { break };
            at = item.parent;
            chain.push(at);
        }
        chain
    }

    /// The names from below the root down to the item.
    pub(crate) fn path(&self, slot: Slot) -> Vec<String> {
        let mut chain = self.ancestors(slot);
        chain.pop();
        chain.reverse();
        if slot != ROOT {
            chain.push(slot);
        }
        chain.iter().filter_map(|slot| self.any(*slot)).map(|item| item.name.to_string()).collect()
    }

    /// Adds a file of this size.
    pub(crate) fn create_file(&mut self, at: &Place<'_>, size: u64, now: u32) -> Result<Slot, ChangeError> {
        self.check_place(at, None)?;
        let slot = self.push(at.parent, at.name, Node::File { content_version: 1, quick_xor: None }, now);
        self.resize(slot, size);
        Ok(slot)
    }

    /// Adds a folder.
    pub(crate) fn create_folder(&mut self, at: &Place<'_>, now: u32) -> Result<Slot, ChangeError> {
        self.check_place(at, None)?;
        if self.ancestors(at.parent).len() >= MAX_DEPTH {
            return Err(ChangeError::TooDeep);
        }
        Ok(self.push(at.parent, at.name, Node::Folder { children: Vec::new(), content_version: 0 }, now))
    }

    /// Adds what is neither file nor folder.
    pub(super) fn create_opaque(&mut self, at: &Place<'_>, now: u32) -> Result<Slot, ChangeError> {
        self.check_place(at, None)?;
        Ok(self.push(at.parent, at.name, Node::Opaque, now))
    }

    /// Gives a file a new content of this size.
    pub(crate) fn edit(&mut self, slot: Slot, size: u64, now: u32) -> Result<(), ChangeError> {
        self.archive(slot);
        let item = self.get_mut(slot).filter(|item| item.alive).ok_or(ChangeError::NotFound)?;
        let Node::File { content_version, quick_xor } = &mut item.node else {
            return Err(ChangeError::NotAFile);
        };
        *content_version = content_version.wrapping_add(1);
        *quick_xor = None;
        item.modified = now;
        if let Some(extra) = self.extras.get_mut(&slot) {
            let extra = Arc::make_mut(extra);
            (extra.content, extra.modified_ms) = (None, None);
        }
        self.resize(slot, size);
        self.touch(slot);
        Ok(())
    }

    /// Gives an item a new parent, a new name, or both. The id stays.
    pub(crate) fn relocate(&mut self, slot: Slot, to: &Place<'_>) -> Result<(), ChangeError> {
        if slot == ROOT {
            return Err(ChangeError::RootIsFixed);
        }
        let from = self.get(slot).ok_or(ChangeError::NotFound)?.parent;
        self.check_place(to, Some(slot))?;
        if to.parent == slot || self.ancestors(to.parent).contains(&slot) {
            return Err(ChangeError::IntoItself);
        }
        let below = if self.get(slot).is_some_and(Item::is_folder) { self.height(slot) } else { 0 };
        if self.ancestors(to.parent).len() + below >= MAX_DEPTH {
            return Err(ChangeError::TooDeep);
        }
        let size = self.get(slot).map_or(0, |item| item.size);
        self.unlink(slot);
        if from != to.parent {
            self.grow_above(slot, 0, size);
        }
        if let Some(item) = self.get_mut(slot) {
            item.parent = to.parent;
            item.name = to.name.into();
        }
        self.link(slot);
        if from != to.parent {
            self.grow_above(slot, size, 0);
        }
        self.touch(slot);
        if from != to.parent {
            self.horizon.departed(self.sequence, slot, from);
        }
        Ok(())
    }

    /// Swaps the names of two items.
    pub(crate) fn swap_names(&mut self, left: Slot, right: Slot) -> Result<(), ChangeError> {
        let place = |slot| self.get(slot).map(|item| (item.parent, item.name.clone()));
        let (left_at, right_at) = place(left).zip(place(right)).ok_or(ChangeError::NotFound)?;
        if left == ROOT || right == ROOT {
            return Err(ChangeError::RootIsFixed);
        }
        let blocked =
            |parent, name: &str| self.child(parent, name).is_some_and(|at| at != left && at != right);
        if left == right || blocked(left_at.0, &right_at.1) || blocked(right_at.0, &left_at.1) {
            return Err(ChangeError::NameTaken);
        }
        self.unlink(left);
        self.unlink(right);
        for (slot, name) in [(left, right_at.1), (right, left_at.1)] {
            if let Some(item) = self.get_mut(slot) {
                item.name = name;
            }
            self.link(slot);
            self.touch(slot);
        }
        Ok(())
    }

    /// Deletes an item and everything below it. With `announce_all`, descendants get tombstones of their own in the feed.
    pub(crate) fn delete(&mut self, slot: Slot, announce_all: bool) -> Result<(), ChangeError> {
        if slot == ROOT {
            return Err(ChangeError::RootIsFixed);
        }
        let size = self.get(slot).ok_or(ChangeError::NotFound)?.size;
        let doomed = self.subtree(slot);
        self.grow_above(slot, 0, size);
        self.unlink(slot);
        for below in doomed {
            let key = self.get(below).map(|item| (item.parent, names::fingerprint(&item.name)));
            if let Some(key) = key.filter(|_| below != slot) {
                self.names.remove(&key);
            }
            let keep_name = self.keep_deleted_names;
            if let Some(item) = self.get_mut(below) {
                item.alive = false;
                item.version = item.version.wrapping_add(1);
                if !keep_name {
                    item.name = Box::default();
                }
                if let Node::Folder { children, .. } = &mut item.node {
                    *children = Vec::new();
                }
            }
            self.live = self.live.saturating_sub(1);
            self.extras.remove(&below);
            self.shared.remove(&below);
            self.histories.forget(below);
            if announce_all || below == slot {
                self.touch(below);
            } else {
                self.forget(below);
            }
        }
        Ok(())
    }

    /// Brings a deleted item back to life under a name in its parent.
    pub(super) fn revive(&mut self, slot: Slot, name: Box<str>) {
        let Some(item) = self.get_mut(slot) else { return };
        (item.alive, item.name) = (true, name);
        self.live += 1;
        self.link(slot);
        self.touch(slot);
        if self.extras.get(&slot).is_some_and(|extra| extra.shared_at.is_some()) {
            self.shared.insert(slot);
        }
    }

    /// An item and everything below it, parents before children.
    pub(crate) fn subtree(&self, slot: Slot) -> Vec<Slot> {
        let mut found = vec![slot];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            found.extend_from_slice(self.children(at));
            next += 1;
        }
        found
    }

    /// Keeps a hash that was computed for this version of a content.
    pub(crate) fn remember_hash(&mut self, slot: Slot, version: u32, hash: [u8; HASH_BYTES]) {
        if let Some(Node::File { content_version, quick_xor }) = self.get_mut(slot).map(|item| &mut item.node)
            && *content_version == version
        {
            *quick_xor = Some(hash);
        }
    }

    /// Sets the times of an item without making it a change, for the drive's first content.
    pub(super) fn backdate(&mut self, slot: Slot, time: u32) {
        if let Some(item) = self.get_mut(slot) {
            item.created = time;
            item.modified = time;
        }
    }

    /// Bytes the model holds for its items, counted from the capacities of its containers.
    pub(crate) fn memory_bytes(&self) -> usize {
        let children = |item: &Item| match &item.node {
            Node::Folder { children, .. } => children.capacity() * size_of::<Slot>(),
            Node::File { .. } | Node::Opaque => 0,
        };
        // A name is an allocation of its own, which the allocator rounds up and gives a header.
        let name = |item: &Item| item.name.len().next_multiple_of(16) + 8;
        let owned: usize = self.items.iter().map(|item| children(item) + name(item)).sum();
        // A hash table keeps one control byte per bucket and an eighth of its buckets free; tree nodes are half full at worst.
        let names = self.names.capacity() * (size_of::<((Slot, u64), Slot)>() + 1) * 8 / 7;
        let changes = self.changes.len() * (size_of::<u64>() + size_of::<Slot>()) * 2;
        self.items.capacity() * size_of::<Item>() + owned + names + changes
    }

    pub(super) fn check_place(&self, place: &Place<'_>, moving: Option<Slot>) -> Result<(), ChangeError> {
        let parent = self.get(place.parent).ok_or(ChangeError::NotFound)?;
        if !parent.is_folder() {
            return Err(ChangeError::NotAFolder);
        }
        if !names::is_valid(place.name) {
            return Err(ChangeError::InvalidName(place.name.to_owned()));
        }
        match self.names.get(&(place.parent, names::fingerprint(place.name))) {
            Some(taken) if Some(*taken) != moving => Err(ChangeError::NameTaken),
            Some(_) | None => Ok(()),
        }
    }

    fn push(&mut self, parent: Slot, name: &str, node: Node, now: u32) -> Slot {
        let slot = self.slots();
        self.items.push(Item {
            name: name.into(),
            node,
            size: 0,
            sequence: 0,
            parent,
            created: now,
            modified: now,
            version: 0,
            alive: true,
        });
        self.live += 1;
        if slot != ROOT {
            self.link(slot);
        }
        self.touch(slot);
        slot
    }

    fn link(&mut self, slot: Slot) {
        let Some((parent, key)) = self.any(slot).map(|item| (item.parent, names::fingerprint(&item.name)))
        else {
            return;
        };
        self.names.insert((parent, key), slot);
        if let Some(Node::Folder { children, .. }) = self.get_mut(parent).map(|item| &mut item.node) {
            children.push(slot);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some((parent, key)) = self.any(slot).map(|item| (item.parent, names::fingerprint(&item.name)))
        else {
            return;
        };
        self.names.remove(&(parent, key));
        if let Some(Node::Folder { children, .. }) = self.get_mut(parent).map(|item| &mut item.node) {
            children.retain(|child| *child != slot);
        }
    }

    pub(crate) fn touch(&mut self, slot: Slot) {
        self.forget(slot);
        self.sequence += 1;
        let sequence = self.sequence;
        if let Some(item) = self.get_mut(slot) {
            item.sequence = sequence;
            item.version = item.version.wrapping_add(1);
        }
        self.changes.insert(sequence, slot);
        for above in self.ancestors(slot) {
            if let Some(Node::Folder { content_version, .. }) = self.get_mut(above).map(|item| &mut item.node)
            {
                *content_version = content_version.wrapping_add(1);
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(old) = self.any(slot).map(|item| item.sequence) {
            self.changes.remove(&old);
        }
    }

    pub(super) fn resize(&mut self, slot: Slot, size: u64) {
        let Some(item) = self.get_mut(slot) else { return };
        let old = std::mem::replace(&mut item.size, size);
        self.grow_above(slot, size, old);
    }

    /// Adds to and takes from the sizes of all folders above an item.
    pub(super) fn grow_above(&mut self, slot: Slot, more: u64, less: u64) {
        for above in self.ancestors(slot) {
            if let Some(folder) = self.get_mut(above) {
                folder.size = folder.size.saturating_add(more).saturating_sub(less);
            }
        }
    }

    fn height(&self, slot: Slot) -> usize {
        let above = self.ancestors(slot).len();
        let folders =
            self.subtree(slot).into_iter().filter(|below| self.get(*below).is_some_and(Item::is_folder));
        folders.map(|below| self.ancestors(below).len() - above + 1).max().unwrap_or_default()
    }
}

/// Where an item goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) parent: Slot,
    pub(crate) name: &'a str,
}
