//! The members of an item that are objects themselves.

use serde::Serialize;

/// An item as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct ItemJson<'a> {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) c_tag: Option<String>,
    #[serde(skip_serializing_if = "Time::is_absent")]
    pub(super) created_date_time: Time,
    #[serde(skip_serializing_if = "Time::is_absent")]
    pub(super) last_modified_date_time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) web_url: Option<String>,
    pub(super) parent_reference: ParentReference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_by: Option<Identities<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_modified_by: Option<Identities<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<FolderFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) package: Option<PackageFacet<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remote_item: Option<RemoteItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) special_folder: Option<SpecialFolder<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) malware: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shared: Option<SharedFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<DeletedFacet>,
    #[serde(rename = "@microsoft.graph.sharedChanged", skip_serializing_if = "Option::is_none")]
    pub(super) shared_changed: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_system_info: Option<FileSystemInfo>,
    #[serde(rename = "@microsoft.graph.downloadUrl", skip_serializing_if = "Option::is_none")]
    pub(super) download_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParentReference<'a> {
    pub(super) drive_id: std::borrow::Cow<'a, str>,
    pub(super) drive_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Empty {}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Identities<'a> {
    pub(super) user: Identity<'a>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity<'a> {
    pub(super) id: &'a str,
    pub(super) display_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FolderFacet {
    pub(super) child_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileFacet {
    pub(super) mime_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hashes: Option<Hashes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hashes {
    pub(super) quick_xor_hash: String,
}

#[derive(Serialize)]
pub(super) struct PackageFacet<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
}

/// Where a shortcut leads; the members of the item there are told as far as they are known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoteItem {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<FolderFacet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<Empty>,
    pub(super) parent_reference: ParentReference<'static>,
}

#[derive(Serialize)]
pub(super) struct SpecialFolder<'a> {
    pub(super) name: &'a str,
}

#[derive(Serialize)]
pub(super) struct SharedFacet {
    pub(super) scope: &'static str,
}

#[derive(Serialize)]
pub(super) struct DeletedFacet {
    pub(super) state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileSystemInfo {
    #[serde(skip_serializing_if = "Time::is_absent")]
    pub(super) created_date_time: Time,
    #[serde(skip_serializing_if = "Time::is_absent")]
    pub(super) last_modified_date_time: Time,
}

/// A time, or what the service tells in its place (graph-behaviour §1.3).
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Time {
    Told(String),
    Null,
    Absent,
}

impl Time {
    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
