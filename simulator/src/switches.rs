//! How the simulator behaves as long as it is not told otherwise: the lasting settings, in contrast to [faults](crate::faults).

use serde::{Deserialize, Serialize};

/// All lasting settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Access and refresh tokens.
    pub tokens: TokenSwitches,
    /// The device-code flow.
    pub device: DeviceSwitches,
    /// The delta feed.
    pub delta: DeltaSwitches,
    /// Life of a download link, in seconds (graph-behaviour §4.2).
    pub download_link_seconds: u64,
    /// Resource units one app may use per minute in one tenant; none means no limit (graph-behaviour §7).
    pub resource_units_per_minute: Option<u32>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            tokens: TokenSwitches::default(),
            device: DeviceSwitches::default(),
            delta: DeltaSwitches::default(),
            download_link_seconds: 3_600,
            resource_units_per_minute: None,
        }
    }
}

/// What happens to a refresh token when it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// As Entra does: a new one each time, and the old ones stay valid.
    #[default]
    Entra,
    /// The old one dies at once. Using it again revokes the whole family (RFC 9700 §4.14.2).
    Strict,
    /// The old one stays valid until its successor is used for the first time.
    Grace,
}

/// Settings of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSwitches {
    /// Rotation of refresh tokens.
    pub rotation: Rotation,
    /// Life of an access token, in seconds.
    pub access_seconds: u64,
    /// Life of a refresh token that is not used, in seconds.
    pub refresh_seconds: u64,
}

impl Default for TokenSwitches {
    fn default() -> Self {
        Self { rotation: Rotation::Entra, access_seconds: 3_599, refresh_seconds: 90 * 86_400 }
    }
}

/// Settings of the device-code flow (RFC 8628, graph-behaviour §9.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSwitches {
    /// Seconds a client has to wait between two polls.
    pub interval_seconds: u64,
    /// Life of a device code, in seconds.
    pub expires_seconds: u64,
    /// What a client that polls too fast is told.
    pub too_fast: TooFast,
    /// The code is approved by the n-th poll; none waits for a person.
    pub approve_after_polls: Option<u32>,
}

impl Default for DeviceSwitches {
    fn default() -> Self {
        Self {
            interval_seconds: 5,
            expires_seconds: 900,
            too_fast: TooFast::Pending,
            approve_after_polls: None,
        }
    }
}

/// What a client that polls for a device code too fast is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooFast {
    /// `authorization_pending`, as if nothing were wrong.
    #[default]
    Pending,
    /// `slow_down`: from then on it has to wait five seconds longer (RFC 8628 §3.5).
    SlowDown,
    /// `invalid_grant` with AADSTS50196, from the third time on.
    LoopDetected,
}

/// Settings of the delta feed (graph-behaviour §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeltaSwitches {
    /// Tells the folders above every changed item again on each page.
    pub repeat_ancestors: bool,
    /// Gives the descendants of a deleted folder tombstones of their own.
    pub announce_descendants: bool,
    /// Lists deletions of a page after everything else, so that a name is told before the item that had it is gone.
    pub create_before_delete: bool,
    /// A page ends after so many tombstones; OneDrive for Business does so after 7.
    pub tombstone_page_size: Option<usize>,
    /// Life of next and delta links, in seconds; none means for ever.
    pub link_seconds: Option<u64>,
}

impl Default for DeltaSwitches {
    fn default() -> Self {
        Self {
            repeat_ancestors: true,
            announce_descendants: true,
            create_before_delete: false,
            tombstone_page_size: None,
            link_seconds: None,
        }
    }
}
