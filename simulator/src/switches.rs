//! How the simulator behaves as long as it is not told otherwise: the lasting settings, in contrast to [faults](crate::faults).

mod graph;

use serde::{Deserialize, Serialize};

pub use self::graph::{
    GraphSwitches, LimitSwitches, MalwareAnswer, NoDrive, QuotaTold, SubscriptionSwitches, UploadSwitches,
};

/// All lasting settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Access and refresh tokens.
    pub tokens: TokenSwitches,
    /// The device-code flow.
    pub device: DeviceSwitches,
    /// Sign-ins in a browser, and consent.
    pub sign_in: SignInSwitches,
    /// The delta feed.
    pub delta: DeltaSwitches,
    /// Drives and their items.
    pub graph: GraphSwitches,
    /// Upload sessions.
    pub uploads: UploadSwitches,
    /// Limits beside the resource units per minute.
    pub limits: LimitSwitches,
    /// Subscriptions.
    pub subscriptions: SubscriptionSwitches,
    /// What a bearer token on a download link leads to (graph-behaviour §4.1). It is a violation in any case.
    pub bearer_on_links: BearerOnLinks,
    /// How slow connections are.
    pub network: NetworkSwitches,
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
            sign_in: SignInSwitches::default(),
            delta: DeltaSwitches::default(),
            graph: GraphSwitches::default(),
            uploads: UploadSwitches::default(),
            limits: LimitSwitches::default(),
            subscriptions: SubscriptionSwitches::default(),
            bearer_on_links: BearerOnLinks::default(),
            network: NetworkSwitches::default(),
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

/// Most bytes of an access token.
pub const MAX_ACCESS_BYTES: usize = 16 * 1024;

/// Settings of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSwitches {
    /// Rotation of refresh tokens.
    pub rotation: Rotation,
    /// Life of an access token, in seconds.
    pub access_seconds: u64,
    /// Bytes of an access token, at most [`MAX_ACCESS_BYTES`]; Entra's have 1.5 to 3 thousand. One is never shorter than its random
    /// part, which is all there is by default.
    pub access_bytes: usize,
    /// Whether access tokens live for a random time instead: 60 to 90 minutes, and 20 to 28 hours for clients that can be
    /// challenged (graph-behaviour §9.3, §9.6).
    pub random_lifetimes: bool,
    /// Life of a refresh token that is not used, in seconds.
    pub refresh_seconds: u64,
    /// Life of all refresh tokens of a sign-in on a page in a browser together, in seconds.
    pub spa_refresh_seconds: u64,
    /// Whether a client assertion is taken only once (RFC 7523 §3, item 7). Entra takes it again, and MSAL relies on that.
    pub refuse_assertion_replay: bool,
}

impl Default for TokenSwitches {
    fn default() -> Self {
        Self {
            rotation: Rotation::Entra,
            access_seconds: 3_599,
            access_bytes: 0,
            random_lifetimes: false,
            refresh_seconds: 90 * 86_400,
            spa_refresh_seconds: 86_400,
            refuse_assertion_replay: false,
        }
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

/// Settings of sign-ins in a browser (graph-behaviour §9.2) and of consent (§9.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInSwitches {
    /// Who answers the pages.
    pub auto: AutoSignIn,
    /// Principal name or object id of who signs in by itself when the client names nobody; none takes the first user.
    pub auto_user: Option<String>,
    /// Life of an authorization code, in seconds.
    pub code_seconds: u64,
    /// Whether somebody has to consent to what applications ask for.
    pub consent: Consent,
}

impl Default for SignInSwitches {
    fn default() -> Self {
        Self { auto: AutoSignIn::Off, auto_user: None, code_seconds: 600, consent: Consent::Implied }
    }
}

/// Who answers the pages of a sign-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoSignIn {
    /// Whoever opens them.
    #[default]
    Off,
    /// The simulator: everything is approved at once.
    Approve,
    /// The simulator: everything is declined at once.
    Decline,
}

/// Whether somebody has to consent to what applications ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Signing in is consent.
    #[default]
    Implied,
    /// A page asks for it, once per user and application; some permissions need an administrator.
    Asked,
}

/// Settings of the delta feed (graph-behaviour §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of the service by itself")]
pub struct DeltaSwitches {
    /// Tells the folders above every changed item again on each page.
    pub repeat_ancestors: bool,
    /// Gives the descendants of a deleted folder tombstones of their own.
    pub announce_descendants: bool,
    /// Lists deletions of a page after everything else, so that a name is told before the item that had it is gone.
    pub create_before_delete: bool,
    /// Tells a page backwards, so that what is in a folder comes before it (graph-behaviour §2.3, rule 5).
    pub children_before_parents: bool,
    /// A page ends after so many tombstones; OneDrive for Business does so after 7.
    pub tombstone_page_size: Option<usize>,
    /// Life of next and delta links, in seconds; none means for ever.
    pub link_seconds: Option<u64>,
    /// Whether entries tell the path of the folder they are in (graph-behaviour §2.3, rule 3).
    pub parent_paths: ParentPaths,
    /// Whether tombstones tell if the item was a file or a folder (graph-behaviour §2.3, rule 4).
    pub tombstone_facets: TombstoneFacets,
    /// Seconds after which a change is told at the earliest (graph-behaviour §2.3, rule 10).
    pub lag_seconds: u64,
    /// Tombstones come without the facet that tells them (graph-behaviour §2.3, rule 4).
    pub delete_without_facet: bool,
    /// Tombstones carry a hash that means nothing (graph-behaviour §1.4).
    pub bogus_hash_on_delete: bool,
}

impl Default for DeltaSwitches {
    fn default() -> Self {
        Self {
            repeat_ancestors: true,
            announce_descendants: true,
            create_before_delete: false,
            children_before_parents: false,
            tombstone_page_size: None,
            link_seconds: None,
            parent_paths: ParentPaths::default(),
            tombstone_facets: TombstoneFacets::default(),
            lag_seconds: 0,
            delete_without_facet: false,
            bogus_hash_on_delete: false,
        }
    }
}

/// Whether the feed tells `parentReference.path`. The documents say that it does not; clients exist that find nothing without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentPaths {
    /// As documented.
    #[default]
    Absent,
    /// As older clients need it.
    Told,
}

/// Whether tombstones have a `file` or `folder` facet. The service does both; clients exist that ignore tombstones without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TombstoneFacets {
    /// Nothing but what identifies the item.
    #[default]
    Absent,
    /// The facet, without hashes.
    Told,
}

/// What a bearer token on a download link leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BearerOnLinks {
    /// 401, as the service does today.
    #[default]
    Refused,
    /// The content, as the service did when older clients were written.
    Served,
}

/// How slow connections are. Each connection gets its own latency and bandwidth when it is accepted, chosen evenly between the two
/// ends of the span; equal ends make them fixed. The control interface is never slow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSwitches {
    /// Milliseconds an answer is held back, from and to; the TLS handshake suffers them too.
    pub latency_milliseconds: [u64; 2],
    /// Bytes sent per second, from and to; none means without limit.
    pub bytes_per_second: Option<[u64; 2]>,
}
