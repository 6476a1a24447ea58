//! Items as Graph writes them (graph-behaviour §1.3), and what the delta feed leaves out (§2.3, §12).

mod facets;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use self::facets::{
    DeletedFacet, Empty, FileFacet, FileSystemInfo, FolderFacet, Hashes, Identities, Identity, ItemJson,
    PackageFacet, ParentReference, RemoteItem, SharedFacet, SpecialFolder, Time,
};
use super::{Call, download, timestamp};
use crate::drive::Drive;
use crate::drive::item::{Facet, ROOT, Snapshot, SnapshotKind};
use crate::drive::names::mime_type;
use crate::drive::spec::DriveKind;
use crate::faults::FaultKind;
use crate::mix::join;
use crate::quick_xor;
use crate::switches::{ParentPaths, Switches, TombstoneFacets};

/// What is encoded in `webUrl` and `parentReference.path`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// Bytes by which a wrong listed size is wrong.
const SIZE_ERROR: u64 = 2_207;
/// Times that mean nothing, as the service has told them. It has also told null, or nothing at all.
const INVALID_TIMES: [&str; 2] = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"];
/// What a client that looks after permissions prefers, all together (graph-behaviour §2.6).
const SHARING_PREFERENCES: [&str; 3] =
    ["deltashowremovedasdeleted", "deltatraversepermissiongaps", "deltashowsharingchanges"];
/// The scope these need.
const SHARING_SCOPE: &str = "Sites.FullControl.All";
/// A hash that belongs to no content.
const BOGUS_HASH: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Writes the items of one answer.
pub(super) struct Writer<'a> {
    call: &'a Call<'a>,
    drive: &'a Drive,
    links: download::Links<'a>,
    select: Option<Vec<String>>,
    switches: Switches,
    /// Tells `shared` only where sharing begins, not of everything below.
    hierarchical: bool,
    /// Tells which items changed in nothing but who may see them.
    shared_changes: bool,
}

impl<'a> Writer<'a> {
    /// A writer that keeps the members named in `$select`, or all.
    pub(super) fn new(call: &'a Call<'a>, drive: &'a Drive, select: Option<&str>) -> Self {
        let names = select.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
        let links = download::Links::new(call.world, &call.caller, drive);
        let switches = call.world.switches();
        let hierarchical = call.prefers("hierarchicalsharing");
        Self { call, drive, links, select: names, switches, hierarchical, shared_changes: false }
    }

    /// The same for changes since a delta link: clients that prefer it are told of changed permissions. Without the scope for it the
    /// preference is left aside, which is an assumption.
    pub(super) fn with_shared_changes(self) -> Self {
        let preferred = SHARING_PREFERENCES.iter().all(|name| self.call.prefers(name));
        let allowed = self.call.caller.may(SHARING_SCOPE) && self.drive.ids.kind() != DriveKind::Personal;
        Self { shared_changes: preferred && allowed, ..self }
    }

    /// Whether the item is told to be shared.
    fn is_shared(&self, item: &Snapshot) -> bool {
        let itself = item.extra.as_ref().is_some_and(|extra| extra.shared_at.is_some());
        itself || (!self.hierarchical && self.drive.tree().is_shared(item.slot))
    }

    /// An item of the feed: without a path, and without what each kind of drive leaves out there.
    pub(super) fn feed_item<'s>(&'s self, item: &'s Snapshot) -> Written<'s> {
        let mut written = if item.alive { self.live(item, None, true) } else { self.tombstone(item) };
        if self.switches.delta.parent_paths == ParentPaths::Told && item.alive {
            let above = self.drive.tree().path(item.parent);
            written.parent_reference = self.parent(item, Some(&above));
        }
        self.selected(written)
    }

    /// An item asked for by itself or listed in its folder; `above` are the names of the folders it is in.
    pub(super) fn item<'s>(&'s self, item: &'s Snapshot, above: &[String]) -> Written<'s> {
        self.selected(self.live(item, Some(above), false))
    }

    fn live<'s>(&'s self, item: &'s Snapshot, above: Option<&[String]>, feed: bool) -> ItemJson<'s> {
        let ids = &self.drive.ids;
        let personal = ids.kind() == DriveKind::Personal;
        let is_root = item.slot == ROOT;
        let vault = matches!(item.facet(), Some(Facet::Vault { .. }));
        let (file, folder, c_tag) = match item.kind {
            SnapshotKind::File { content_version, .. } => {
                let c_tag = (personal || !feed).then(|| ids.c_tag(item.slot, content_version));
                (Some(self.file(item)), None, c_tag)
            }
            SnapshotKind::Folder { child_count, content_version } => {
                let c_tag = personal.then(|| ids.c_tag(item.slot, content_version));
                (None, (!vault).then_some(FolderFacet { child_count }), c_tag)
            }
            SnapshotKind::Opaque => (None, None, None),
        };
        let (created, modified) = self.times(item);
        let owner = &self.drive.owner;
        let by = Identities { user: Identity { id: &owner.oid, display_name: &owner.name } };
        let by = (personal || !feed).then_some(by);
        ItemJson {
            id: ids.item(item.slot),
            name: Some(self.name(item)),
            size: Some(if vault { 0 } else { self.listed_size(item) }),
            e_tag: (personal || !is_root).then(|| ids.e_tag(item.slot, item.version)),
            c_tag,
            created_date_time: created,
            last_modified_date_time: modified,
            web_url: above.filter(|_| !vault).map(|above| self.web_url(item, above)),
            parent_reference: self.parent(item, above),
            created_by: by,
            last_modified_by: by,
            root: is_root.then_some(Empty {}),
            folder,
            package: package(item),
            remote_item: self.remote(item),
            special_folder: special(item),
            malware: matches!(item.facet(), Some(Facet::Malware)).then_some(Empty {}),
            shared: self.is_shared(item).then_some(SharedFacet { scope: "users" }),
            deleted: None,
            shared_changed: self.only_shared(item).then_some("True"),
            file_system_info: Some(self.claimed(item)),
            download_url: file.is_some().then(|| self.links.to(item.slot, download::What::Present)),
            file,
        }
    }

    /// A tombstone: business drives leave out the name, personal ones tag and size.
    fn tombstone<'s>(&'s self, item: &'s Snapshot) -> ItemJson<'s> {
        let personal = self.drive.ids.kind() == DriveKind::Personal;
        let delta = &self.switches.delta;
        let told = delta.tombstone_facets == TombstoneFacets::Told;
        let is_file = matches!(item.kind, SnapshotKind::File { .. });
        let bogus = delta.bogus_hash_on_delete.then(|| Hashes { quick_xor_hash: BOGUS_HASH.to_owned() });
        let file = (is_file && (told || bogus.is_some()))
            .then(|| FileFacet { mime_type: mime_type(&item.name), hashes: bogus });
        ItemJson {
            id: self.drive.ids.item(item.slot),
            name: personal.then(|| self.name(item)),
            size: None,
            e_tag: None,
            c_tag: None,
            created_date_time: Time::Absent,
            last_modified_date_time: Time::Absent,
            web_url: None,
            parent_reference: self.parent(item, None),
            created_by: None,
            last_modified_by: None,
            root: None,
            folder: (told && !is_file).then_some(FolderFacet { child_count: 0 }),
            file,
            package: None,
            remote_item: None,
            special_folder: None,
            malware: None,
            shared: None,
            deleted: (!delta.delete_without_facet).then_some(DeletedFacet { state: "deleted" }),
            shared_changed: None,
            file_system_info: None,
            download_url: None,
        }
    }

    fn only_shared(&self, item: &Snapshot) -> bool {
        let shared_at = item.extra.as_ref().and_then(|extra| extra.shared_at);
        self.shared_changes && shared_at == Some(item.sequence)
    }

    fn name<'s>(&self, item: &'s Snapshot) -> Cow<'s, str> {
        if item.slot == ROOT {
            return Cow::Borrowed("root");
        }
        if self.switches.graph.url_encoded_names {
            return utf8_percent_encode(&item.name, PATH).into();
        }
        Cow::Borrowed(&item.name)
    }

    /// When the service saw the item created and last modified.
    fn times(&self, item: &Snapshot) -> (Time, Time) {
        if self.struck(item, &FaultKind::InvalidTimestamps) {
            let which = usize::try_from(item.slot % 4).unwrap_or_default();
            let instead = if which == INVALID_TIMES.len() { Time::Null } else { Time::Absent };
            let time = INVALID_TIMES.get(which).map_or(instead, |time| Time::Told((*time).to_owned()));
            return (time.clone(), time);
        }
        let write = |seconds| Time::Told(timestamp::write(self.drive.ids.kind(), self.moment(item, seconds)));
        (write(item.created), write(item.modified))
    }

    /// When a client says so.
    fn claimed(&self, item: &Snapshot) -> FileSystemInfo {
        let (created, modified) = self.times(item);
        let extra = item.extra.as_ref().filter(|_| !self.struck(item, &FaultKind::InvalidTimestamps));
        let write = |at_ms: u64| Time::Told(timestamp::write(self.drive.ids.kind(), at_ms));
        FileSystemInfo {
            created_date_time: extra.and_then(|extra| extra.created_ms).map_or(created, write),
            last_modified_date_time: extra.and_then(|extra| extra.modified_ms).map_or(modified, write),
        }
    }

    /// Items keep seconds; the milliseconds that personal drives tell follow from item and second.
    fn moment(&self, item: &Snapshot, seconds: u32) -> u64 {
        let key = join(self.drive.ids.key(), join(u64::from(item.slot), u64::from(seconds)));
        u64::from(seconds) * 1_000 + key % 1_000
    }

    fn file(&self, item: &Snapshot) -> FileFacet {
        let hash = match item.kind {
            SnapshotKind::File { quick_xor, .. } => quick_xor,
            SnapshotKind::Folder { .. } | SnapshotKind::Opaque => None,
        };
        let hash = hash.filter(|_| !self.struck(item, &FaultKind::MissingHash)).map(|mut hash| {
            if self.struck(item, &FaultKind::WrongHash) {
                hash.iter_mut().take(1).for_each(|byte| *byte ^= 0xFF);
            }
            quick_xor::encode(hash)
        });
        FileFacet {
            mime_type: mime_type(&item.name),
            hashes: hash.map(|quick_xor_hash| Hashes { quick_xor_hash }),
        }
    }

    fn listed_size(&self, item: &Snapshot) -> u64 {
        let is_file = matches!(item.kind, SnapshotKind::File { .. });
        if is_file && self.struck(item, &FaultKind::WrongListedSize) {
            item.size + SIZE_ERROR
        } else {
            item.size
        }
    }

    fn struck(&self, item: &Snapshot, fault: &FaultKind) -> bool {
        self.call.hits.strikes_item(fault, join(self.drive.ids.key(), u64::from(item.slot)), &item.name)
    }

    fn parent(&self, item: &Snapshot, above: Option<&[String]>) -> ParentReference<'_> {
        let ids = &self.drive.ids;
        let has_parent = item.slot != ROOT;
        let path = above.filter(|_| has_parent).map(|above| {
            let below_root = above.iter().fold(String::new(), |path, name| path + "/" + name);
            format!("/drives/{}/root:{}", ids.drive(), utf8_percent_encode(&below_root, PATH))
        });
        let name =
            above.filter(|_| has_parent).map(|above| above.last().map_or("root", String::as_str).to_owned());
        ParentReference {
            drive_id: self.told_drive_id(),
            drive_type: ids.kind().as_str(),
            id: has_parent.then(|| ids.item(item.parent)),
            name,
            path,
        }
    }

    /// The id of the drive, spoilt as the service spoils those of personal drives (graph-behaviour §1.2).
    fn told_drive_id(&self) -> Cow<'_, str> {
        let id = self.drive.ids.drive();
        let graph = &self.switches.graph;
        if self.drive.ids.kind() != DriveKind::Personal {
            return Cow::Borrowed(id);
        }
        let id = if graph.truncate_drive_id { id.trim_start_matches('0') } else { id };
        if graph.mixed_case_drive_id && self.call.world.number().is_multiple_of(2) {
            return Cow::Owned(id.to_uppercase());
        }
        Cow::Borrowed(id)
    }

    fn remote(&self, item: &Snapshot) -> Option<RemoteItem> {
        let Some(Facet::Remote { drive: drive_id, item: target }) = item.facet() else { return None };
        let drive = self.call.world.drive(drive_id);
        let there = drive.as_ref().and_then(|drive| drive.tree().snapshot(drive.ids.slot(target)?));
        let (folder, file) = match there.as_ref().map(|there| there.kind) {
            Some(SnapshotKind::Folder { child_count, .. }) => (Some(FolderFacet { child_count }), None),
            Some(SnapshotKind::File { .. }) => (None, Some(Empty {})),
            Some(SnapshotKind::Opaque) | None => (None, None),
        };
        Some(RemoteItem {
            id: target.clone(),
            name: there.as_ref().map(|there| there.name.to_string()),
            size: there.as_ref().map(|there| there.size),
            folder,
            file,
            parent_reference: ParentReference {
                drive_id: Cow::Owned(drive_id.clone()),
                drive_type: drive.map_or(DriveKind::Business, |drive| drive.ids.kind()).as_str(),
                id: None,
                name: None,
                path: None,
            },
        })
    }

    fn web_url(&self, item: &Snapshot, above: &[String]) -> String {
        let mut path: String = above.iter().fold(String::new(), |path, name| path + "/" + name);
        if item.slot != ROOT {
            path.push('/');
            path.push_str(&item.name);
        }
        format!("{}{}", super::sites::web_url(self.call.world, self.drive), utf8_percent_encode(&path, PATH))
    }

    fn selected<'s>(&self, item: ItemJson<'s>) -> Written<'s> {
        let Some(select) = &self.select else { return Written::Whole(Box::new(item)) };
        let mut members = members(&item);
        members.retain(|name, _| {
            let plain = if name == "@microsoft.graph.downloadUrl" { "content.downloadUrl" } else { name };
            name == "id" || select.iter().any(|wanted| wanted == name || wanted == plain)
        });
        let renamed = self.switches.graph.select_download_url_key
            && select.iter().any(|wanted| wanted == "content.downloadUrl");
        if let Some(link) = renamed.then(|| members.remove("@microsoft.graph.downloadUrl")).flatten() {
            members.insert("@content.downloadUrl".to_owned(), link);
        }
        Written::Selected(members)
    }
}

fn package(item: &Snapshot) -> Option<PackageFacet<'_>> {
    let Some(Facet::Package(kind)) = item.facet() else { return None };
    Some(PackageFacet { kind })
}

fn special(item: &Snapshot) -> Option<SpecialFolder<'_>> {
    match item.facet() {
        Some(Facet::Special(name)) => Some(SpecialFolder { name }),
        Some(Facet::Vault { .. }) => Some(SpecialFolder { name: "vault" }),
        Some(Facet::Package(_) | Facet::Malware | Facet::Remote { .. }) | None => None,
    }
}

/// An item as it goes into an answer.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Written<'a> {
    /// With all its members.
    Whole(Box<ItemJson<'a>>),
    /// With those that were asked for.
    Selected(Map<String, Value>),
}

impl Written<'_> {
    /// The members, to add to.
    pub(super) fn into_members(self) -> Map<String, Value> {
        match self {
            Self::Whole(item) => members(&item),
            Self::Selected(members) => members,
        }
    }
}

fn members(item: &ItemJson<'_>) -> Map<String, Value> {
    match serde_json::to_value(item) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
