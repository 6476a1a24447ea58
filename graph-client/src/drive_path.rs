//! Which drive: the part of a Graph address before `/root` and `/items`.

use std::fmt;
use std::str::FromStr;

/// Longest id in a path, in bytes. Site ids, the longest in use, are a host name and two GUIDs.
pub const MAX_ID_BYTES: usize = 512;

/// The address of a drive, relative to the version of the API.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum DrivePath {
    /// `me/drive`: the default drive of the signed-in account.
    Me,
    /// `drives/{id}`.
    Drive(PathId),
    /// `users/{id}/drive`: the default drive of a user, by object id or principal name.
    User(PathId),
    /// `groups/{id}/drive`: the default drive of a group.
    Group(PathId),
    /// `sites/{id}/drive`: the default library of a SharePoint site.
    Site(PathId),
}

/// An id that is one segment of a path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathId(String);

impl PathId {
    /// Takes an id as Graph gave it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let dots_only = text.bytes().all(|byte| byte == b'.');
        let forbidden =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | '?' | '#' | '%');
        if dots_only || text.len() > MAX_ID_BYTES || text.contains(forbidden) {
            return Err(PathError::Id);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not the address of a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// None of the five forms.
    #[error(
        "a drive is written me/drive, drives/ID, users/ID/drive, groups/ID/drive or sites/ID/drive, without a leading slash"
    )]
    Form,
    /// An id that cannot be one segment of a path.
    #[error(
        "an id has 1 to {MAX_ID_BYTES} bytes, without spaces, control characters and any of / \\ ? # %, and is not only dots"
    )]
    Id,
}

impl DrivePath {
    /// Reads one of the five forms.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let segments: Vec<&str> = text.split('/').collect();
        match segments.as_slice() {
            ["me", "drive"] => Ok(Self::Me),
            ["drives", id] => PathId::parse(id).map(Self::Drive),
            ["users", id, "drive"] => PathId::parse(id).map(Self::User),
            ["groups", id, "drive"] => PathId::parse(id).map(Self::Group),
            ["sites", id, "drive"] => PathId::parse(id).map(Self::Site),
            _ => Err(PathError::Form),
        }
    }

    /// The segments, not encoded.
    pub(crate) fn segments(&self) -> Vec<&str> {
        match self {
            Self::Me => vec!["me", "drive"],
            Self::Drive(id) => vec!["drives", id.as_str()],
            Self::User(id) => vec!["users", id.as_str(), "drive"],
            Self::Group(id) => vec!["groups", id.as_str(), "drive"],
            Self::Site(id) => vec!["sites", id.as_str(), "drive"],
        }
    }
}

impl FromStr for DrivePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for DrivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments().join("/"))
    }
}

impl fmt::Debug for DrivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrivePath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_forms_come_back_as_written() {
        for text in [
            "me/drive",
            "drives/b!x1_Y-z",
            "drives/024470056f5c3e43",
            "users/a.user@contoso.com/drive",
            "groups/9f2c/drive",
            "sites/contoso.sharepoint.com,2C712604,9f/drive",
        ] {
            assert_eq!(DrivePath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "me", "/me/drive", "me/drive/", "drives", "drives/a/root", "users/a", "Me/drive"] {
            assert_eq!(DrivePath::parse(text), Err(PathError::Form), "{text:?}");
        }
    }

    #[test]
    fn ids_that_would_change_the_address_are_refused() {
        let long = format!("drives/{}", "x".repeat(MAX_ID_BYTES + 1));
        for text in [
            "drives/",
            "drives/..",
            "drives/.",
            "drives/a b",
            "drives/a?b",
            "drives/a#b",
            "drives/%2e%2e",
            "drives/a\nb",
            &long,
        ] {
            assert_eq!(DrivePath::parse(text), Err(PathError::Id), "{text:?}");
        }
    }
}
