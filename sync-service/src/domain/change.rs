//! Normalises a delta page: what the drive sent, made into at most one change per item.

use std::collections::HashMap;

use service_kit::clock::Timestamp;

use super::{
    item::{Desired, Kind, Scope, content_version},
    local_name,
};

/// Which facet an item came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// `file`.
    File,
    /// `folder`.
    Folder,
    /// `root`.
    Root,
    /// `specialFolder` with the name `vault`, whatever else it carries.
    Vault,
    /// `package`, `remoteItem`, or none that is known.
    Other,
}

/// An item of a page, as the drive sent it; empty texts mean absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedItem {
    /// Item id.
    pub id: String,
    /// Parent's item id.
    pub parent_id: String,
    /// Name.
    pub name: String,
    /// Facet.
    pub facet: Facet,
    /// Whether it carries the `deleted` facet.
    pub deleted: bool,
    /// Listed size in bytes.
    pub size: i64,
    /// `eTag`.
    pub e_tag: String,
    /// `cTag`.
    pub c_tag: String,
    /// `quickXorHash` in base64.
    pub hash: String,
    /// Modification time.
    pub modified: Option<Timestamp>,
}

/// What a page says of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there, like this.
    Upsert {
        /// The item.
        id: String,
        /// How it is.
        desired: Desired,
    },
    /// It is gone.
    Gone {
        /// The item.
        id: String,
    },
}

impl Change {
    /// The item that changed.
    pub fn id(&self) -> &str {
        match self {
            Self::Upsert { id, .. } | Self::Gone { id } => id,
        }
    }
}

/// Makes changes of a page's items: the last occurrence of an id wins; tombstones need no name; an entry that has neither name nor
/// parent nor tombstone says nothing and is dropped (old personal drives send such for items that are no more; a later full
/// listing settles those).
pub fn normalise(items: Vec<ListedItem>) -> Vec<Change> {
    let mut last: HashMap<String, usize> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        last.insert(item.id.clone(), index);
    }
    items
        .into_iter()
        .enumerate()
        .filter(|(index, item)| last.get(&item.id) == Some(index))
        .filter_map(|(_, item)| change(item))
        .collect()
}

fn change(item: ListedItem) -> Option<Change> {
    let kind = match item.facet {
        Facet::File => Kind::File,
        Facet::Folder => Kind::Folder,
        Facet::Root => Kind::Root,
        Facet::Vault => Kind::Vault,
        Facet::Other => Kind::Opaque,
    };
    if item.id.is_empty() {
        return None;
    }
    if kind == Kind::Root {
        // A drive's root cannot be deleted, moved or renamed.
        return Some(Change::Upsert { id: item.id, desired: root() });
    }
    if item.deleted {
        return Some(Change::Gone { id: item.id });
    }
    if item.name.is_empty() {
        return None;
    }
    let hash = Some(item.hash).filter(|hash| !hash.is_empty());
    let version = match kind {
        Kind::File => content_version(item.size, hash.as_deref(), &item.c_tag, &item.e_tag),
        Kind::Folder | Kind::Root | Kind::Opaque | Kind::Vault => String::new(),
    };
    let desired = Desired {
        local_name: local_name::encode(&item.name, &item.id),
        parent_id: item.parent_id,
        name: item.name,
        kind,
        scope: Scope::Mirrored,
        size: if kind == Kind::File { item.size } else { 0 },
        version,
        hash: if kind == Kind::File { hash } else { None },
        e_tag: item.e_tag,
        modified: if kind == Kind::File { item.modified } else { None },
    };
    Some(Change::Upsert { id: item.id, desired })
}

fn root() -> Desired {
    Desired {
        parent_id: String::new(),
        name: String::new(),
        local_name: String::new(),
        kind: Kind::Root,
        scope: Scope::Mirrored,
        size: 0,
        version: String::new(),
        hash: None,
        e_tag: String::new(),
        modified: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, name: &str) -> ListedItem {
        ListedItem {
            id: id.into(),
            parent_id: "root".into(),
            name: name.into(),
            facet: Facet::File,
            deleted: false,
            size: 1,
            e_tag: "e".into(),
            c_tag: String::new(),
            hash: "h".into(),
            modified: None,
        }
    }

    #[test]
    fn the_last_occurrence_of_an_item_wins() {
        let changes = normalise(vec![listed("1", "old"), listed("2", "x"), listed("1", "new")]);
        let names: Vec<_> = changes
            .iter()
            .map(|change| match change {
                Change::Upsert { desired, .. } => desired.name.as_str(),
                Change::Gone { .. } => "gone",
            })
            .collect();
        assert_eq!(names, ["x", "new"]);
    }

    #[test]
    fn a_tombstone_needs_no_name_and_beats_an_earlier_entry() {
        let gone = ListedItem { deleted: true, facet: Facet::Other, ..listed("1", "") };
        assert_eq!(normalise(vec![listed("1", "a"), gone]), [Change::Gone { id: "1".into() }]);
    }

    #[test]
    fn an_item_that_came_back_after_its_tombstone_is_there() {
        let gone = ListedItem { deleted: true, ..listed("1", "") };
        let changes = normalise(vec![gone, listed("1", "a")]);
        assert!(matches!(changes.as_slice(), [Change::Upsert { .. }]));
    }

    #[test]
    fn an_entry_that_says_nothing_changes_nothing() {
        assert_eq!(normalise(vec![listed("1", "")]), []);
    }

    #[test]
    fn packages_and_shortcuts_are_kept_as_opaque() {
        let package = ListedItem { facet: Facet::Other, ..listed("1", "Notebook") };
        let changes = normalise(vec![package]);
        assert!(
            matches!(changes.as_slice(), [Change::Upsert { desired, .. }] if desired.kind == Kind::Opaque)
        );
    }

    #[test]
    fn the_root_is_never_gone() {
        let root = ListedItem { facet: Facet::Root, deleted: true, ..listed("r", "root") };
        assert!(matches!(normalise(vec![root]).as_slice(), [Change::Upsert { .. }]));
    }
}
