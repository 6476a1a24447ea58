//! An item of a drive: what the drive says of it (desired), what the destination has of it (applied), and what follows.
//!
//! Pages change only *desired*, outcomes only *applied*; [`Item::work`] is the comparison that every action comes from.

use service_kit::clock::Timestamp;

use super::baseline::Baseline;

/// What the applied parent of an item is called while the item waits in the staging folder.
pub const STAGING_PARENT: &str = "#staging";

/// What an item is to a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Has content.
    File,
    /// Has children.
    Folder,
    /// The drive's top folder: always applied, at the destination's root.
    Root,
    /// Nothing that can be mirrored: a package, a shortcut to another drive, or an unknown facet.
    Opaque,
    /// A Personal Vault. Locked, it looks empty, so nothing is ever concluded from what it does not show.
    Vault,
}

/// Whether an item is mirrored as its kind says, or not because of where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// As its kind says.
    Mirrored,
    /// Lies below something opaque.
    InOpaque,
    /// Lies in a Personal Vault.
    InVault,
    /// The source's filter leaves it out, or a folder that it lies in.
    Excluded,
}

/// What the drive says of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Item id of the parent; empty on the root, and where the drive did not say.
    pub parent_id: String,
    /// Name in the drive, exactly as it came.
    pub name: String,
    /// Name at the destination, see [`super::local_name`].
    pub local_name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is mirrored.
    pub scope: Scope,
    /// Listed size in bytes; 0 for what has no content.
    pub size: i64,
    /// What content it has; see [`content_version`]. Empty for what has no content.
    pub version: String,
    /// `quickXorHash` in base64, if the drive gave one.
    pub hash: Option<String>,
    /// `eTag`; empty where the drive gave none.
    pub e_tag: String,
    /// Modification time, if the drive gave a believable one.
    pub modified: Option<Timestamp>,
}

/// What the destination has of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Item id of the folder it lies in; [`STAGING_PARENT`] while it waits for its place.
    pub parent_id: String,
    /// Name it has there.
    pub name: String,
    /// [`Kind::File`], [`Kind::Folder`] or [`Kind::Root`].
    pub kind: Kind,
    /// The content version it has.
    pub version: String,
    /// The modification time that was set.
    pub modified: Option<Timestamp>,
    /// The file as it was put there.
    pub file: Baseline,
}

/// One row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The drive's id of it.
    pub id: String,
    /// What the drive says; `None` when it is gone there.
    pub desired: Option<Desired>,
    /// What the destination has; `None` when nothing.
    pub applied: Option<Applied>,
}

/// What must happen so that the destination equals the drive, for one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Nothing.
    None,
    /// Make the folder.
    MakeFolder,
    /// Rename or move what is there.
    Move,
    /// Transfer the content.
    PutContent,
    /// Set the modification time.
    SetTimes,
    /// Delete what is there.
    Delete,
    /// Nothing at the destination and gone from the drive: the row itself can go once the listing is complete.
    Forget,
}

impl Item {
    /// Compares desired with applied.
    pub fn work(&self) -> Work {
        match (&self.desired, &self.applied) {
            (None, None) => Work::Forget,
            (None, Some(_)) => Work::Delete,
            (Some(desired), None) => match (desired.scope, desired.kind) {
                (Scope::Mirrored, Kind::File) => Work::PutContent,
                (Scope::Mirrored, Kind::Folder) => Work::MakeFolder,
                (Scope::Mirrored, Kind::Root | Kind::Opaque | Kind::Vault)
                | (Scope::InOpaque | Scope::InVault | Scope::Excluded, _) => Work::None,
            },
            (Some(desired), Some(applied)) => compare(desired, applied),
        }
    }
}

impl Desired {
    /// The scope of what lies directly below.
    pub fn passes_down(&self) -> Scope {
        match self.kind {
            Kind::Opaque => Scope::InOpaque,
            Kind::Vault => Scope::InVault,
            Kind::File | Kind::Folder | Kind::Root => self.scope,
        }
    }
}

fn compare(desired: &Desired, applied: &Applied) -> Work {
    if desired.kind == Kind::Root {
        return Work::None;
    }
    if desired.kind == Kind::Vault || desired.scope == Scope::InVault {
        // What turns out to have been a vault all along stays as it is; what is moved into one leaves the mirror.
        return if desired.parent_id == applied.parent_id { Work::None } else { Work::Delete };
    }
    if desired.kind != applied.kind || desired.scope != Scope::Mirrored {
        return Work::Delete;
    }
    if desired.parent_id != applied.parent_id || desired.local_name != applied.name {
        return Work::Move;
    }
    if desired.kind != Kind::File {
        return Work::None;
    }
    if desired.version != applied.version {
        return Work::PutContent;
    }
    if desired.modified.is_some() && desired.modified != applied.modified {
        return Work::SetTimes;
    }
    Work::None
}

/// Names the content of a file: equal versions mean equal bytes.
///
/// The hash decides where there is one, since the provider's other marks also move when only metadata changed. Without it, `cTag`
/// (content only) goes before `eTag` (any change): at worst a file is transferred once more than needed, never once less.
pub fn content_version(size: i64, hash: Option<&str>, c_tag: &str, e_tag: &str) -> String {
    match hash {
        Some(hash) => format!("q:{hash}:{size}"),
        None if size == 0 => "empty".to_owned(),
        None if !c_tag.is_empty() => format!("c:{c_tag}:{size}"),
        None => format!("e:{e_tag}:{size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(parent: &str, name: &str, version: &str) -> Desired {
        Desired {
            parent_id: parent.into(),
            name: name.into(),
            local_name: name.into(),
            kind: Kind::File,
            scope: Scope::Mirrored,
            size: 3,
            version: version.into(),
            hash: None,
            e_tag: String::new(),
            modified: None,
        }
    }

    fn applied(parent: &str, name: &str, version: &str) -> Applied {
        Applied {
            parent_id: parent.into(),
            name: name.into(),
            kind: Kind::File,
            version: version.into(),
            modified: None,
            file: Baseline::default(),
        }
    }

    fn work(desired: Option<Desired>, applied: Option<Applied>) -> Work {
        Item { id: "1".into(), desired, applied }.work()
    }

    #[test]
    fn equal_sides_need_nothing() {
        assert_eq!(work(Some(file("p", "a", "v")), Some(applied("p", "a", "v"))), Work::None);
    }

    #[test]
    fn a_file_that_moved_and_changed_is_moved_first() {
        assert_eq!(work(Some(file("p", "b", "w")), Some(applied("p", "a", "v"))), Work::Move);
        assert_eq!(work(Some(file("p", "b", "w")), Some(applied("p", "b", "v"))), Work::PutContent);
    }

    #[test]
    fn what_is_gone_is_deleted_and_then_forgotten() {
        assert_eq!(work(None, Some(applied("p", "a", "v"))), Work::Delete);
        assert_eq!(work(None, None), Work::Forget);
    }

    #[test]
    fn a_file_that_became_a_folder_is_deleted_before_the_folder_is_made() {
        let folder = Desired { kind: Kind::Folder, ..file("p", "a", "") };
        assert_eq!(work(Some(folder.clone()), Some(applied("p", "a", "v"))), Work::Delete);
        assert_eq!(work(Some(folder), None), Work::MakeFolder);
    }

    #[test]
    fn opaque_items_leave_nothing_at_the_destination() {
        let opaque = Desired { kind: Kind::Opaque, ..file("p", "a", "") };
        assert_eq!(work(Some(opaque.clone()), None), Work::None);
        assert_eq!(work(Some(opaque), Some(applied("p", "a", "v"))), Work::Delete);
    }

    #[test]
    fn what_lies_below_something_opaque_leaves_nothing_at_the_destination() {
        let inside = Desired { scope: Scope::InOpaque, ..file("p", "a", "v") };
        assert_eq!(work(Some(inside.clone()), None), Work::None);
        assert_eq!(work(Some(inside), Some(applied("p", "a", "v"))), Work::Delete);
    }

    #[test]
    fn what_the_filter_leaves_out_leaves_nothing_at_the_destination() {
        let out = Desired { scope: Scope::Excluded, ..file("p", "a", "v") };
        assert_eq!(work(Some(out.clone()), None), Work::None);
        assert_eq!(work(Some(out), Some(applied("p", "a", "v"))), Work::Delete);
    }

    #[test]
    fn a_vault_and_what_lies_in_it_stay_as_they_are() {
        let inside = Desired { scope: Scope::InVault, ..file("vault", "a", "w") };
        assert_eq!(work(Some(inside.clone()), None), Work::None);
        assert_eq!(work(Some(inside.clone()), Some(applied("vault", "b", "v"))), Work::None);
        assert_eq!(work(Some(inside), Some(applied("p", "a", "v"))), Work::Delete, "moved into it");
        let vault = Desired { kind: Kind::Vault, ..file("root", "Vault", "") };
        let folder = Applied { kind: Kind::Folder, ..applied("root", "Vault", "") };
        assert_eq!(work(Some(vault.clone()), Some(folder)), Work::None);
        assert_eq!((work(Some(vault.clone()), None), vault.passes_down()), (Work::None, Scope::InVault));
    }

    #[test]
    fn a_new_time_alone_transfers_nothing() {
        let desired = Desired { modified: Some(Timestamp::from_millis(5)), ..file("p", "a", "v") };
        assert_eq!(work(Some(desired), Some(applied("p", "a", "v"))), Work::SetTimes);
    }

    #[test]
    fn the_hash_decides_whatever_the_tags_say() {
        assert_eq!(content_version(3, Some("h"), "c1", "e1"), content_version(3, Some("h"), "c2", "e2"));
        assert_ne!(content_version(3, None, "c1", "e1"), content_version(3, None, "c2", "e1"));
        assert_ne!(content_version(3, None, "", "e1"), content_version(3, None, "", "e2"));
        assert_eq!(content_version(0, None, "", "e1"), content_version(0, None, "", "e2"));
    }
}
