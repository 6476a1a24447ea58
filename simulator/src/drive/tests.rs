//! Rules of the model, and that its books agree with each other whatever happens.

use proptest::prelude::*;

use super::change::{Change, ChangeError, Circumstances, apply};
use super::item::{Item, Node, ROOT, Slot};
use super::spec::{DriveKind, DriveSpec};
use super::tree::{Place, Tree};
use super::{Drive, ids::Ids, random};

const HOW: Circumstances =
    Circumstances { now: 1_700_000_000, now_ms: 1_700_000_000_000, announce_all: true };

struct Model {
    tree: Tree,
    ids: Ids,
}

impl Model {
    fn new() -> Self {
        Self { tree: Tree::new(1, false), ids: Ids::new(DriveKind::Business, 3) }
    }

    fn make(&mut self, change: &Change) -> Result<Slot, ChangeError> {
        apply(&mut self.tree, &self.ids, change, HOW)
    }

    fn file(&mut self, parent: &str, name: &str, size: u64) -> Slot {
        self.make(&Change::CreateFile { parent: parent.into(), name: name.into(), size }).unwrap()
    }

    fn folder(&mut self, parent: &str, name: &str) -> Slot {
        self.make(&Change::Mkdir { parent: parent.into(), name: name.into() }).unwrap()
    }

    fn size(&self, slot: Slot) -> u64 {
        self.tree.get(slot).unwrap().size
    }
}

#[test]
fn sizes_of_folders_follow_their_files() {
    let mut model = Model::new();
    let a = model.folder("/", "a");
    let b = model.folder("/a", "b");
    model.file("/a/b", "x", 10);
    assert_eq!((model.size(ROOT), model.size(a), model.size(b)), (10, 10, 10));
    model.make(&Change::Edit { item: "/a/b/x".into(), size: Some(4) }).unwrap();
    model.make(&Change::Move { item: "/a/b".into(), parent: "/".into(), name: None }).unwrap();
    assert_eq!((model.size(ROOT), model.size(a), model.size(b)), (4, 0, 4));
    model.make(&Change::Delete { item: "/b".into() }).unwrap();
    assert_eq!(model.size(ROOT), 0);
}

#[test]
fn what_the_service_refuses_is_refused_and_changes_nothing() {
    let mut model = Model::new();
    model.folder("/", "a");
    model.folder("/a", "b");
    model.file("/", "x", 1);
    let before = model.tree.sequence();
    let moved =
        |item: &str, parent: &str| Change::Move { item: item.into(), parent: parent.into(), name: None };
    for (change, error) in [
        (moved("/a", "/a/b"), ChangeError::IntoItself),
        (moved("/a", "/a"), ChangeError::IntoItself),
        (moved("/x", "/x"), ChangeError::NotAFolder),
        (moved("/nothing", "/a"), ChangeError::NotFound),
        (Change::Delete { item: "/".into() }, ChangeError::RootIsFixed),
        (Change::Rename { item: "/x".into(), name: "A".into() }, ChangeError::NameTaken),
        (Change::Rename { item: "/x".into(), name: "a/b".into() }, ChangeError::InvalidName("a/b".into())),
        (Change::Edit { item: "/a".into(), size: None }, ChangeError::NotAFile),
        (Change::SwapNames { left: "/x".into(), right: "/x".into() }, ChangeError::NameTaken),
    ] {
        assert_eq!(model.make(&change), Err(error), "{change:?}");
    }
    assert_eq!(model.tree.sequence(), before);
}

#[test]
fn a_name_can_change_its_case_and_two_items_can_swap_names() {
    let mut model = Model::new();
    let x = model.file("/", "x", 1);
    let y = model.file("/", "y", 2);
    model.make(&Change::Rename { item: "/x".into(), name: "X".into() }).unwrap();
    assert_eq!(&*model.tree.get(x).unwrap().name, "X");
    model.make(&Change::SwapNames { left: "/x".into(), right: "/y".into() }).unwrap();
    assert_eq!((model.tree.child(ROOT, "y"), model.tree.child(ROOT, "x")), (Some(x), Some(y)));
}

#[test]
fn folders_nest_only_so_deep() {
    let mut model = Model::new();
    let mut parent = ROOT;
    let deepest = (0..=super::tree::MAX_DEPTH).find(|_| {
        match model.tree.create_folder(&Place { parent, name: "d" }, 1) {
            Ok(slot) => {
                parent = slot;
                false
            }
            Err(error) => {
                assert_eq!(error, ChangeError::TooDeep);
                true
            }
        }
    });
    assert_eq!(deepest, Some(super::tree::MAX_DEPTH));
    assert_eq!(model.tree.ancestors(parent).last(), Some(&ROOT));
}

#[test]
fn a_hash_is_computed_once_per_version() {
    let user = crate::config::Config::default().users[0].clone();
    let drive = Drive::new(0, &DriveSpec { files: 3, folders: 0, ..DriveSpec::default() }, user, 1);
    let all = |drive: &Drive| {
        let tree = drive.tree();
        tree.children(ROOT).iter().filter_map(|slot| tree.snapshot(*slot)).collect::<Vec<_>>()
    };
    let mut items = all(&drive);
    assert!(Drive::unhashed_bytes(&items) > 0);
    drive.hash(&mut items);
    let items = all(&drive);
    assert_eq!(Drive::unhashed_bytes(&items), 0);
    let edit = Change::Edit { item: drive.ids.item(items[0].slot), size: Some(50) };
    drive.apply(&edit, HOW).unwrap();
    assert_eq!(Drive::unhashed_bytes(&all(&drive)), 50);
}

/// Every book of the tree says the same.
fn check(tree: &Tree) {
    let live: Vec<Slot> = (0..tree.slots()).filter(|slot| tree.get(*slot).is_some()).collect();
    assert_eq!(live.len(), usize::try_from(tree.live()).unwrap());
    assert_eq!(tree.subtree(ROOT).len(), live.len());
    for slot in live {
        let item = tree.get(slot).unwrap();
        assert_eq!(tree.changes.get(&item.sequence), Some(&slot));
        if slot != ROOT {
            assert_eq!(tree.child(item.parent, &item.name), Some(slot));
            assert!(tree.children(item.parent).contains(&slot));
        }
        if let Node::Folder { children, .. } = &item.node {
            let below: u64 = children.iter().map(|child| tree.get(*child).unwrap().size).sum();
            assert_eq!(item.size, below);
        }
    }
    assert!(
        tree.changes
            .iter()
            .all(|(sequence, slot)| tree.items[usize::try_from(*slot).unwrap()].sequence == *sequence)
    );
    assert!(tree.get(ROOT).is_some_and(Item::is_folder));
}

proptest! {
    #[test]
    fn the_books_agree_after_any_history(seed in any::<u64>(), count in 0_u32..300) {
        let mut model = Model::new();
        random::fill(&mut model.tree, &DriveSpec { seed, files: 40, folders: 12, ..DriveSpec::default() });
        check(&model.tree);
        random::change(&mut model.tree, &model.ids, HOW, (seed, count));
        check(&model.tree);
    }
}
