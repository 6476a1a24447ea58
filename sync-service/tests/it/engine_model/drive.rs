//! A drive that is nothing but a tree, and the feed it shows.

use std::collections::{BTreeMap, BTreeSet};

use graph_client::quick_xor::QuickXor;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use sync_service::domain::{
    change::{Facet, ListedItem},
    filter::Filter,
    local_name,
};

pub(super) const ROOT: &str = "root";

/// What can happen to a drive. Numbers pick among what there is.
#[derive(Clone, Debug)]
pub(super) enum Op {
    CreateFile {
        parent: u16,
        name: u8,
    },
    CreateFolder {
        parent: u16,
        name: u8,
    },
    Edit {
        file: u16,
    },
    Rename {
        item: u16,
        name: u8,
    },
    Move {
        item: u16,
        parent: u16,
    },
    SwapNames {
        left: u16,
        right: u16,
    },
    /// `a/b` becomes `b/a`.
    TurnInsideOut {
        folder: u16,
    },
    Delete {
        item: u16,
    },
    /// Deleted, and at once there again under the same name with another id, the other kind of item half of the time.
    Recreate {
        item: u16,
    },
    /// Taken out of the recycle bin: the same id again.
    Restore {
        item: u16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    parent: String,
    name: String,
    /// `None` for a folder.
    content: Option<u32>,
}

/// Path to content; `None` for a folder.
pub(super) type Tree = BTreeMap<String, Option<String>>;

#[derive(Default)]
pub(super) struct Drive {
    nodes: BTreeMap<String, Node>,
    /// Items that changed since the feed was read last, with the state they had before it.
    changed: BTreeSet<String>,
    gone: BTreeSet<String>,
    stale: Vec<ListedItem>,
    bin: BTreeMap<String, Node>,
    next: u32,
}

impl Drive {
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::CreateFile { parent, name } => self.create(*parent, *name, true),
            Op::CreateFolder { parent, name } => self.create(*parent, *name, false),
            Op::Edit { file } => {
                let files: Vec<String> = self.ids(|node| node.content.is_some());
                if let Some(id) = pick(&files, *file) {
                    // Half of the time what it may have been before.
                    let number = self.number();
                    let content = if number.is_multiple_of(2) { number } else { 1 };
                    self.change(&id, |node| node.content = Some(content));
                }
            }
            Op::Rename { item, name } => {
                if let Some(id) = pick(&self.ids(|_| true), *item) {
                    let parent = self.nodes[&id].parent.clone();
                    self.place(&id, &parent, &name_of(*name));
                }
            }
            Op::Move { item, parent } => {
                if let (Some(id), Some(parent)) =
                    (pick(&self.ids(|_| true), *item), pick(&self.folders(), *parent))
                {
                    let name = self.nodes[&id].name.clone();
                    self.place(&id, &parent, &name);
                }
            }
            Op::SwapNames { left, right } => self.swap(*left, *right),
            Op::TurnInsideOut { folder } => self.turn_inside_out(*folder),
            Op::Delete { item } => {
                if let Some(id) = pick(&self.ids(|_| true), *item) {
                    self.delete(&id);
                }
            }
            Op::Restore { item } => {
                let ids: Vec<String> = self.bin.keys().cloned().collect();
                if let Some(id) = pick(&ids, *item) {
                    self.restore(id);
                }
            }
            Op::Recreate { item } => {
                if let Some(id) = pick(&self.ids(|_| true), *item) {
                    let Node { parent, name, content } = self.nodes[&id].clone();
                    self.delete(&id);
                    let number = self.number();
                    let content =
                        if number.is_multiple_of(2) { content.map(|_| number) } else { Some(number) };
                    self.add(Node { parent, name, content });
                }
            }
        }
    }

    /// Every path with its content.
    /// What of it a filter takes, worked out item by item.
    pub(super) fn tree(&self, filter: &Filter) -> Tree {
        self.nodes
            .iter()
            .filter(|(id, _)| self.is_taken(id, filter))
            .map(|(id, node)| (self.path(id), node.content.map(|content| content.to_string())))
            .collect()
    }

    fn is_taken(&self, id: &str, filter: &Filter) -> bool {
        let mut chain = Vec::new();
        let mut at = id;
        while let Some(node) = self.nodes.get(at) {
            chain.push(node);
            at = &node.parent;
        }
        chain.reverse();
        let names: Vec<String> = chain.iter().map(|node| node.name.clone()).collect();
        chain.iter().enumerate().all(|(index, node)| match node.content {
            Some(content) => {
                let size = i64::try_from(content.to_string().len()).unwrap();
                filter.takes_file(&names[..=index], size)
            }
            None => filter.takes_folder(&names[..=index]),
        })
    }

    /// A complete listing: everything there is, nothing that is gone.
    pub(super) fn enumerate(&mut self, seed: u64) -> Vec<Vec<ListedItem>> {
        self.forget_changes();
        let items = self.nodes.keys().map(|id| self.listed(id)).collect();
        cut(items, vec![root()], seed)
    }

    /// What changed since the last listing: latest states, tombstones, ancestors again, older states of the same items before
    /// newer ones, in any order.
    pub(super) fn changes(&mut self, seed: u64) -> Vec<Vec<ListedItem>> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut items: Vec<ListedItem> = self.changed.iter().map(|id| self.listed(id)).collect();
        for id in &self.gone {
            // A folder's tombstone may come with or without those of what lay in it when the feed was read last; the model
            // sends some. The first older state of an item is the one that the reader knows.
            let known = self.stale.iter().find(|item| item.id == *id);
            let lay_in_gone = known.is_some_and(|item| self.gone.contains(&item.parent_id));
            if !lay_in_gone || random.random_bool(0.5) {
                items.push(tombstone(id));
            }
        }
        let mut again: Vec<ListedItem> = vec![root()];
        again.extend(self.stale.drain(..).filter(|item| self.changed.contains(&item.id)));
        for item in &items {
            let mut at = item.parent_id.clone();
            while let Some(node) = self.nodes.get(&at) {
                if !self.changed.contains(&at) {
                    again.push(self.listed(&at));
                }
                at = node.parent.clone();
            }
        }
        self.forget_changes();
        cut(items, again, seed)
    }

    fn forget_changes(&mut self) {
        self.changed.clear();
        self.gone.clear();
        self.stale.clear();
    }

    fn create(&mut self, parent: u16, name: u8, file: bool) {
        let Some(parent) = pick(&self.folders(), parent) else { return };
        let content = file.then(|| self.number());
        if self.child(&parent, &name_of(name)).is_none() {
            self.add(Node { parent, name: name_of(name), content });
        }
    }

    fn add(&mut self, node: Node) {
        let id = format!("id-{}", self.number());
        self.nodes.insert(id.clone(), node);
        self.changed.insert(id);
    }

    fn place(&mut self, id: &str, parent: &str, name: &str) {
        let free = self.child(parent, name).is_none();
        if free && !self.is_within(parent, id) {
            self.change(id, |node| {
                parent.clone_into(&mut node.parent);
                name.clone_into(&mut node.name);
            });
        }
    }

    fn swap(&mut self, left: u16, right: u16) {
        let ids = self.ids(|_| true);
        let (Some(left), Some(right)) = (pick(&ids, left), pick(&ids, right)) else { return };
        let (a, b) = (self.nodes[&left].clone(), self.nodes[&right].clone());
        if self.is_within(&a.parent, &right) || self.is_within(&b.parent, &left) {
            return;
        }
        self.change(&left, |node| (node.parent, node.name) = (b.parent.clone(), b.name.clone()));
        self.change(&right, |node| (node.parent, node.name) = (a.parent.clone(), a.name.clone()));
    }

    fn turn_inside_out(&mut self, folder: u16) {
        let inner = self.ids(|node| node.content.is_none() && node.parent != ROOT);
        let Some(inner) = pick(&inner, folder) else { return };
        let outer = self.nodes[&inner].parent.clone();
        let (outer_node, inner_node) = (self.nodes[&outer].clone(), self.nodes[&inner].clone());
        let inner_has = self.child(&inner, &outer_node.name).is_some();
        let place_taken =
            self.child(&outer_node.parent, &inner_node.name).is_some_and(|taken| taken != outer);
        if inner_has || place_taken {
            return;
        }
        self.change(&inner, |node| node.parent.clone_from(&outer_node.parent));
        self.change(&outer, |node| node.parent.clone_from(&inner));
    }

    fn delete(&mut self, id: &str) {
        let below: Vec<String> =
            self.nodes.keys().filter(|other| self.is_within(other, id)).cloned().collect();
        for id in below {
            self.stale.push(self.listed(&id));
            let node = self.nodes.remove(&id).unwrap();
            self.bin.insert(id.clone(), node);
            self.changed.remove(&id);
            self.gone.insert(id);
        }
    }

    fn restore(&mut self, id: String) {
        let node = self.bin[&id].clone();
        let parent_there = node.parent == ROOT || self.nodes.contains_key(&node.parent);
        if parent_there && self.child(&node.parent, &node.name).is_none() {
            self.bin.remove(&id);
            self.gone.remove(&id);
            self.changed.insert(id.clone());
            self.nodes.insert(id, node);
        }
    }

    /// Whether anything happened since the feed was read last.
    pub(super) fn has_news(&self) -> bool {
        !self.changed.is_empty() || !self.gone.is_empty()
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Node)) {
        self.stale.push(self.listed(id));
        change(self.nodes.get_mut(id).unwrap());
        self.changed.insert(id.to_owned());
    }

    fn is_within(&self, id: &str, folder: &str) -> bool {
        let mut at = id;
        loop {
            if at == folder {
                return true;
            }
            match self.nodes.get(at) {
                Some(node) => at = &node.parent,
                None => return false,
            }
        }
    }

    fn child(&self, parent: &str, name: &str) -> Option<String> {
        let found = self.nodes.iter().find(|(_, node)| node.parent == parent && node.name == name);
        found.map(|(id, _)| id.clone())
    }

    fn ids(&self, wanted: impl Fn(&Node) -> bool) -> Vec<String> {
        self.nodes.iter().filter(|(_, node)| wanted(node)).map(|(id, _)| id.clone()).collect()
    }

    fn folders(&self) -> Vec<String> {
        [ROOT.to_owned()].into_iter().chain(self.ids(|node| node.content.is_none())).collect()
    }

    /// Where an item lies, under the names that a destination has.
    fn path(&self, id: &str) -> String {
        let node = &self.nodes[id];
        let name = local_name::encode(&node.name, id);
        if node.parent == ROOT { name } else { format!("{}/{name}", self.path(&node.parent)) }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn listed(&self, id: &str) -> ListedItem {
        let node = &self.nodes[id];
        // The action for a file carries its `eTag`: there the model's worker finds what to write.
        let content = node.content.map(|content| content.to_string()).unwrap_or_default();
        let mut hash = QuickXor::new();
        hash.update(content.as_bytes());
        ListedItem {
            id: id.to_owned(),
            parent_id: node.parent.clone(),
            name: node.name.clone(),
            facet: if node.content.is_some() { Facet::File } else { Facet::Folder },
            deleted: false,
            size: i64::try_from(content.len()).unwrap(),
            e_tag: content,
            c_tag: String::new(),
            hash: if node.content.is_some() { hash.base64() } else { String::new() },
            modified: None,
        }
    }
}

pub(super) fn pick(ids: &[String], number: u16) -> Option<String> {
    ids.get(usize::from(number) % ids.len().max(1)).cloned()
}

/// Few names, so that they meet often; two differ in case only.
pub(super) fn name_of(number: u8) -> String {
    ["a", "b", "c", "A", "é 1#%20", "..."][usize::from(number) % 6].to_owned()
}

fn root() -> ListedItem {
    ListedItem { facet: Facet::Root, name: ROOT.to_owned(), parent_id: String::new(), ..tombstone_free(ROOT) }
}

fn tombstone(id: &str) -> ListedItem {
    ListedItem { deleted: true, ..tombstone_free(id) }
}

fn tombstone_free(id: &str) -> ListedItem {
    ListedItem {
        id: id.to_owned(),
        parent_id: String::new(),
        name: String::new(),
        facet: Facet::Other,
        deleted: false,
        size: 0,
        e_tag: String::new(),
        c_tag: String::new(),
        hash: String::new(),
        modified: None,
    }
}

/// Shuffles, puts what comes `again` anywhere before the end of what it repeats, and cuts the whole into pages, some of them empty.
fn cut(mut items: Vec<ListedItem>, again: Vec<ListedItem>, seed: u64) -> Vec<Vec<ListedItem>> {
    let mut random = StdRng::seed_from_u64(seed);
    items.shuffle(&mut random);
    for item in again {
        let end = items.iter().rposition(|other| other.id == item.id).unwrap_or(items.len());
        items.insert(random.random_range(0..=end), item);
    }
    let mut pages = vec![Vec::new()];
    for item in items {
        while random.random_bool(0.2) {
            pages.push(Vec::new());
        }
        pages.last_mut().unwrap().push(item);
    }
    pages
}
