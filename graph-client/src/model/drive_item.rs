//! The `driveItem` resource.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::lenient::{maybe, text, unix_ms};
use crate::error::GraphError;
use crate::link::DownloadLink;

/// An item of a drive, as the drive sent it. Names are not decoded and drive ids are not normalised here: both need to know the
/// drive.
#[derive(Clone, Debug)]
pub struct DriveItem {
    /// Id, never empty.
    pub id: String,
    /// Name; some tombstones have none. Some responses carry it percent-encoded.
    pub name: Option<String>,
    /// Parent's item id; absent on the root and on some tombstones.
    pub parent_id: Option<String>,
    /// Drive that the item says it lives in.
    pub parent_drive_id: Option<String>,
    /// Which facet it has.
    pub kind: ItemKind,
    /// Whether it carries the `deleted` facet.
    pub deleted: bool,
    /// Listed size in bytes, not always that of the content; of a folder, the size of all below it.
    pub size: Option<i64>,
    /// `eTag`: changes with any change of the item.
    pub e_tag: Option<String>,
    /// `cTag`: changes with the content. Business folders and delta entries have none.
    pub c_tag: Option<String>,
    /// `quickXorHash` in base64, where the drive computed one. Never taken from tombstones, which carry stale ones.
    pub quick_xor_hash: Option<String>,
    /// Time of the last change as the file system has it, else as the service has it, in milliseconds since the Unix epoch.
    pub modified_unix_ms: Option<i64>,
    /// Whether the service takes the content for malware and refuses to hand it out.
    pub malware: bool,
    /// Name of the special folder that it is, such as `approot` or `vault`.
    pub special_folder: Option<String>,
    /// Pre-authenticated link to the content of a file.
    pub download_link: Option<DownloadLink>,
}

/// The facet that says what an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// `file`.
    File,
    /// `folder`.
    Folder,
    /// `root`.
    Root,
    /// `package`, for example a OneNote notebook: opaque, without content that could be fetched.
    Package,
    /// `remoteItem`: a shortcut to an item of another drive.
    Remote,
    /// None of these.
    Unknown,
}

/// A facet of which only the presence counts: anything but null.
type Facet = Option<IgnoredAny>;

#[derive(Deserialize)]
pub(crate) struct WireItem {
    #[serde(default, deserialize_with = "maybe")]
    id: Option<String>,
    #[serde(default, deserialize_with = "maybe")]
    name: Option<String>,
    #[serde(rename = "parentReference", default, deserialize_with = "maybe")]
    parent: Option<WireParent>,
    #[serde(default, deserialize_with = "maybe")]
    size: Option<i64>,
    #[serde(rename = "eTag", default, deserialize_with = "maybe")]
    e_tag: Option<String>,
    #[serde(rename = "cTag", default, deserialize_with = "maybe")]
    c_tag: Option<String>,
    #[serde(rename = "lastModifiedDateTime", default, deserialize_with = "maybe")]
    modified: Option<String>,
    #[serde(rename = "fileSystemInfo", default, deserialize_with = "maybe")]
    file_system: Option<WireFileSystem>,
    file: Option<WireFile>,
    folder: Facet,
    root: Facet,
    package: Facet,
    #[serde(rename = "remoteItem")]
    remote: Facet,
    deleted: Facet,
    malware: Facet,
    #[serde(rename = "specialFolder", default, deserialize_with = "maybe")]
    special_folder: Option<WireSpecialFolder>,
    #[serde(rename = "@microsoft.graph.downloadUrl", default, deserialize_with = "maybe")]
    download_url: Option<String>,
    #[serde(rename = "@content.downloadUrl", default, deserialize_with = "maybe")]
    selected_download_url: Option<String>,
}

#[derive(Deserialize)]
struct WireParent {
    #[serde(default, deserialize_with = "maybe")]
    id: Option<String>,
    #[serde(rename = "driveId", default, deserialize_with = "maybe")]
    drive_id: Option<String>,
}

#[derive(Deserialize)]
struct WireFileSystem {
    #[serde(rename = "lastModifiedDateTime", default, deserialize_with = "maybe")]
    modified: Option<String>,
}

#[derive(Deserialize)]
struct WireSpecialFolder {
    #[serde(default, deserialize_with = "maybe")]
    name: Option<String>,
}

/// The `file` facet: that it is there counts, whatever is inside.
#[derive(Deserialize)]
#[serde(from = "Value")]
struct WireFile {
    quick_xor_hash: Option<String>,
}

impl From<Value> for WireFile {
    fn from(facet: Value) -> Self {
        let hash = facet.pointer("/hashes/quickXorHash").and_then(Value::as_str);
        Self { quick_xor_hash: hash.map(str::to_owned) }
    }
}

impl WireItem {
    /// The most particular facet: a root is a folder too, a shortcut often looks like what it leads to.
    fn kind(&self) -> ItemKind {
        if self.root.is_some() {
            ItemKind::Root
        } else if self.remote.is_some() {
            ItemKind::Remote
        } else if self.package.is_some() {
            ItemKind::Package
        } else if self.folder.is_some() {
            ItemKind::Folder
        } else if self.file.is_some() {
            ItemKind::File
        } else {
            ItemKind::Unknown
        }
    }
}

impl TryFrom<WireItem> for DriveItem {
    type Error = GraphError;

    fn try_from(wire: WireItem) -> Result<Self, GraphError> {
        let (kind, deleted) = (wire.kind(), wire.deleted.is_some());
        let (parent_id, parent_drive_id) =
            wire.parent.map_or((None, None), |parent| (text(parent.id), text(parent.drive_id)));
        let file_system = wire.file_system.and_then(|info| unix_ms(info.modified.as_deref()));
        let hash = wire.file.and_then(|file| text(file.quick_xor_hash));
        let link = text(wire.download_url).or(text(wire.selected_download_url));
        Ok(Self {
            id: text(wire.id).ok_or(GraphError::Malformed { what: "an item without an id" })?,
            name: text(wire.name),
            parent_id,
            parent_drive_id,
            kind,
            deleted,
            size: wire.size.filter(|size| *size >= 0),
            e_tag: text(wire.e_tag),
            c_tag: text(wire.c_tag),
            quick_xor_hash: hash.filter(|_| !deleted),
            modified_unix_ms: file_system.or_else(|| unix_ms(wire.modified.as_deref())),
            malware: wire.malware.is_some(),
            special_folder: wire.special_folder.and_then(|folder| text(folder.name)),
            download_link: link.map(DownloadLink::new),
        })
    }
}

#[cfg(test)]
mod tests;
