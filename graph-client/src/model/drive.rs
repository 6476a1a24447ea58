//! The `drive` resource.

use serde::Deserialize;

use super::lenient::{maybe, text};
use crate::error::GraphError;

/// A drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Id, as it came: personal drives vary in case and drop leading zeros.
    pub id: String,
    /// Which backend serves it.
    pub drive_type: DriveType,
    /// Name, if any.
    pub name: Option<String>,
    /// Display name of the user or group that owns it.
    pub owner: Option<String>,
    /// Bytes in use; absent where the quota is not shown.
    pub used_bytes: Option<u64>,
}

/// Which backend serves a drive; they differ in many details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveType {
    /// OneDrive of a personal account.
    Personal,
    /// OneDrive for Business.
    Business,
    /// A SharePoint library.
    DocumentLibrary,
    /// Anything else.
    Unknown,
}

#[derive(Deserialize)]
pub(crate) struct WireDrive {
    #[serde(default, deserialize_with = "maybe")]
    id: Option<String>,
    #[serde(rename = "driveType", default, deserialize_with = "maybe")]
    drive_type: Option<String>,
    #[serde(default, deserialize_with = "maybe")]
    name: Option<String>,
    #[serde(default, deserialize_with = "maybe")]
    owner: Option<WireOwner>,
    #[serde(default, deserialize_with = "maybe")]
    quota: Option<WireQuota>,
}

#[derive(Deserialize)]
struct WireOwner {
    #[serde(default, deserialize_with = "maybe")]
    user: Option<WireIdentity>,
    #[serde(default, deserialize_with = "maybe")]
    group: Option<WireIdentity>,
}

#[derive(Deserialize)]
struct WireIdentity {
    #[serde(rename = "displayName", default, deserialize_with = "maybe")]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct WireQuota {
    #[serde(default, deserialize_with = "maybe")]
    used: Option<u64>,
}

impl TryFrom<WireDrive> for Drive {
    type Error = GraphError;

    fn try_from(wire: WireDrive) -> Result<Self, GraphError> {
        let owner = wire.owner.and_then(|owner| owner.user.or(owner.group));
        Ok(Self {
            id: text(wire.id).ok_or(GraphError::Malformed { what: "a drive without an id" })?,
            drive_type: match wire.drive_type.as_deref() {
                Some("personal") => DriveType::Personal,
                Some("business") => DriveType::Business,
                Some("documentLibrary") => DriveType::DocumentLibrary,
                Some(_) | None => DriveType::Unknown,
            },
            name: text(wire.name),
            owner: owner.and_then(|owner| text(owner.display_name)),
            used_bytes: wire.quota.and_then(|quota| quota.used),
        })
    }
}
