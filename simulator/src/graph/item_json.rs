//! Items as Graph writes them (graph-behaviour §1.3), and what the delta feed leaves out (§2.3, §12).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Call;
use super::download;
use crate::clock::iso;
use crate::drive::Drive;
use crate::drive::item::{ROOT, Snapshot, SnapshotKind};
use crate::drive::names::mime_type;
use crate::drive::spec::DriveKind;
use crate::faults::FaultKind;
use crate::mix::join;
use crate::quick_xor;

/// What is encoded in `webUrl` and `parentReference.path`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// Bytes by which a wrong listed size is wrong.
const SIZE_ERROR: u64 = 2_207;

/// An item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemJson<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_url: Option<String>,
    parent_reference: ParentReference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<FolderFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<DeletedFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_system_info: Option<FileSystemInfo>,
    #[serde(rename = "@microsoft.graph.downloadUrl", skip_serializing_if = "Option::is_none")]
    download_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParentReference<'a> {
    drive_id: &'a str,
    drive_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FolderFacet {
    child_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileFacet {
    mime_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashes: Option<Hashes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    quick_xor_hash: String,
}

#[derive(Serialize)]
struct DeletedFacet {
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileSystemInfo {
    created_date_time: String,
    last_modified_date_time: String,
}

/// Writes the items of one answer.
pub(super) struct Writer<'a> {
    call: &'a Call<'a>,
    drive: &'a Drive,
    links: download::Links<'a>,
    select: Option<Vec<String>>,
}

impl<'a> Writer<'a> {
    /// A writer that keeps the members named in `$select`, or all.
    pub(super) fn new(call: &'a Call<'a>, drive: &'a Drive, select: Option<&str>) -> Self {
        let names = select.map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
        Self { call, drive, links: download::Links::new(call.world, &call.caller, drive), select: names }
    }

    /// An item of the feed: without a path, and without what each kind of drive leaves out there.
    pub(super) fn feed_item<'s>(&'s self, item: &'s Snapshot) -> Written<'s> {
        self.selected(if item.alive { self.live(item, None, true) } else { self.tombstone(item) })
    }

    /// An item asked for by itself or listed in its folder; `above` are the names of the folders it is in.
    pub(super) fn item<'s>(&'s self, item: &'s Snapshot, above: &[String]) -> Written<'s> {
        self.selected(self.live(item, Some(above), false))
    }

    fn live<'s>(&'s self, item: &'s Snapshot, above: Option<&[String]>, feed: bool) -> ItemJson<'s> {
        let ids = &self.drive.ids;
        let personal = ids.kind() == DriveKind::Personal;
        let is_root = item.slot == ROOT;
        let (file, folder, c_tag, link) = match item.kind {
            SnapshotKind::File { content_version, .. } => {
                let c_tag = (personal || !feed).then(|| ids.c_tag(item.slot, content_version));
                (Some(self.file(item)), None, c_tag, Some(self.links.to(item.slot)))
            }
            SnapshotKind::Folder { child_count } => {
                let c_tag = personal.then(|| ids.c_tag(item.slot, item.version));
                (None, Some(FolderFacet { child_count }), c_tag, None)
            }
        };
        let (created, modified) = (iso(u64::from(item.created)), iso(u64::from(item.modified)));
        ItemJson {
            id: ids.item(item.slot),
            name: Some(if is_root { "root" } else { &item.name }),
            size: Some(self.listed_size(item)),
            e_tag: (personal || !is_root).then(|| ids.e_tag(item.slot, item.version)),
            c_tag,
            created_date_time: Some(created.clone()),
            last_modified_date_time: Some(modified.clone()),
            web_url: above.map(|above| self.web_url(item, above)),
            parent_reference: self.parent(item, above),
            root: is_root.then_some(Empty {}),
            folder,
            file,
            deleted: None,
            file_system_info: Some(FileSystemInfo {
                created_date_time: created,
                last_modified_date_time: modified,
            }),
            download_url: link,
        }
    }

    /// A tombstone: business drives leave out the name, personal ones tag and size.
    fn tombstone<'s>(&'s self, item: &'s Snapshot) -> ItemJson<'s> {
        let personal = self.drive.ids.kind() == DriveKind::Personal;
        ItemJson {
            id: self.drive.ids.item(item.slot),
            name: personal.then_some(&item.name),
            size: None,
            e_tag: None,
            c_tag: None,
            created_date_time: None,
            last_modified_date_time: None,
            web_url: None,
            parent_reference: self.parent(item, None),
            root: None,
            folder: None,
            file: None,
            deleted: Some(DeletedFacet { state: "deleted" }),
            file_system_info: None,
            download_url: None,
        }
    }

    fn file(&self, item: &Snapshot) -> FileFacet {
        let hash = match item.kind {
            SnapshotKind::File { quick_xor, .. } => quick_xor,
            SnapshotKind::Folder { .. } => None,
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
            drive_id: ids.drive(),
            drive_type: ids.kind().as_str(),
            id: has_parent.then(|| ids.item(item.parent)),
            name,
            path,
        }
    }

    fn web_url(&self, item: &Snapshot, above: &[String]) -> String {
        let mut path: String = above.iter().fold(String::new(), |path, name| path + "/" + name);
        if item.slot != ROOT {
            path.push('/');
            path.push_str(&item.name);
        }
        format!("{}/Documents{}", self.call.world.bases.graph, utf8_percent_encode(&path, PATH))
    }

    fn selected<'s>(&self, item: ItemJson<'s>) -> Written<'s> {
        let Some(select) = &self.select else { return Written::Whole(Box::new(item)) };
        let mut members = members(&item);
        members.retain(|name, _| {
            let plain = if name == "@microsoft.graph.downloadUrl" { "content.downloadUrl" } else { name };
            name == "id" || select.iter().any(|wanted| wanted == name || wanted == plain)
        });
        Written::Selected(members)
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
