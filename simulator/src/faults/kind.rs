//! The kinds of faults.

use serde::{Deserialize, Serialize};

use crate::counters::Endpoint;
use crate::entra::error::table::EntraErrorName;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// An answer with this status instead of the real one.
    Status {
        /// HTTP status.
        status: u16,
        /// The error code in the body; none takes the one that belongs to the status.
        #[serde(default)]
        code: Option<String>,
        /// The code inside `innerError`; none takes the one that belongs to the status, if any (graph-behaviour §6).
        #[serde(default)]
        inner: Option<String>,
        /// What the body looks like.
        #[serde(default)]
        body: BodyForm,
        /// The `Retry-After` header; none leaves it out.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// An OAuth error from Entra instead of the real answer (graph-behaviour §9.3).
    Oauth {
        /// HTTP status.
        status: u16,
        /// The `error` member.
        error: String,
        /// The AADSTS number.
        aadsts: u32,
        /// The `suberror` member.
        #[serde(default)]
        suberror: Option<String>,
        /// The `claims` member.
        #[serde(default)]
        claims: Option<String>,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// An error of Entra by its name or AADSTS number (graph-behaviour §9.3); [`entra_errors`](crate::entra_errors) lists them.
    Entra {
        /// The name or the number.
        error: EntraErrorName,
        /// HTTP status; none takes the one that belongs to the error.
        #[serde(default)]
        status: Option<u16>,
        /// The `claims` member; none takes the one that belongs to the error.
        #[serde(default)]
        claims: Option<String>,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// 410: the delta link is not honoured (graph-behaviour §2.7).
    #[serde(rename = "resync_410")]
    Resync {
        /// The inner error code.
        #[serde(default)]
        inner: ResyncInner,
        /// The `Location` header.
        #[serde(default)]
        location: ResyncLocation,
        /// What the body looks like.
        #[serde(default)]
        body: ResyncBody,
    },
    /// Half of the body, then the connection ends.
    TruncatedBody,
    /// The connection is reset instead of an answer.
    ConnReset {
        /// Whether the request had its effect.
        #[serde(default)]
        moment: ResetMoment,
    },
    /// The answer begins only after so many milliseconds; a large number is a hang.
    HeaderStall {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// A download link answers a range request with 200 and the whole content.
    RangeIgnored,
    /// A download link answers with 200 and a file that says what went wrong (graph-behaviour §4.4).
    ErrorFile,
    /// Files are listed without a hash.
    MissingHash,
    /// Files are listed with a hash that is not that of their content.
    WrongHash,
    /// Files are listed with a size that is not that of their content.
    WrongListedSize,
    /// The first use of a download link of each file is answered with 401.
    #[serde(rename = "download_url_first_401")]
    DownloadUrlFirst401,
    /// 401 with a claims challenge; the access token stays refused (graph-behaviour §9.6).
    #[serde(rename = "cae_401")]
    Cae401,
    /// 401: the access token is taken to have expired, and stays refused.
    TokenEarlyExpiry,
    /// A delta page without items that goes on.
    EmptyPageWithNextlink,
    /// A delta page whose next link is the one it was asked with.
    NextlinkLoop,
    /// Tombstones are left out of the delta page, for good.
    LostTombstone,
    /// Items are told with times that mean nothing, are null, or are left out (graph-behaviour §1.3).
    InvalidTimestamps,
    /// A write finds the item locked (graph-behaviour §6).
    #[serde(rename = "lock_423")]
    Locked,
    /// The whole site is locked: reading is refused as well (graph-behaviour §6).
    #[serde(rename = "site_locked_423")]
    SiteLocked,
    /// The last chunk of an upload finds the name taken (graph-behaviour §5.2).
    #[serde(rename = "upload_final_409")]
    UploadFinal409,
    /// A notification is never sent (graph-behaviour §8).
    NotificationMissing,
    /// 404 for something that exists.
    #[serde(rename = "transient_404")]
    Transient404,
}

impl FaultKind {
    /// Whether the fault strikes a request of this kind when nothing more is said.
    pub(super) const fn fits(&self, endpoint: Endpoint) -> bool {
        let graph = endpoint.is_graph();
        let download = matches!(endpoint, Endpoint::Download);
        let listing = matches!(endpoint, Endpoint::Delta | Endpoint::Item | Endpoint::Children);
        match self {
            Self::Status { .. } | Self::HeaderStall { .. } | Self::ConnReset { .. } => graph || download,
            Self::Oauth { .. } | Self::Entra { .. } => matches!(endpoint, Endpoint::Token),
            Self::Resync { .. } | Self::EmptyPageWithNextlink | Self::NextlinkLoop | Self::LostTombstone => {
                matches!(endpoint, Endpoint::Delta)
            }
            Self::TruncatedBody | Self::RangeIgnored | Self::ErrorFile | Self::DownloadUrlFirst401 => {
                download
            }
            Self::MissingHash | Self::WrongHash | Self::WrongListedSize | Self::InvalidTimestamps => listing,
            Self::Locked => matches!(endpoint, Endpoint::Write | Endpoint::Upload),
            Self::UploadFinal409 => matches!(endpoint, Endpoint::Fragment),
            Self::NotificationMissing => matches!(endpoint, Endpoint::Notification),
            Self::Cae401 | Self::TokenEarlyExpiry | Self::SiteLocked => graph,
            Self::Transient404 => matches!(endpoint, Endpoint::Item | Endpoint::Content | Endpoint::Children),
        }
    }

    /// Whether the fault is one of single items: a share of them has it, always the same ones.
    pub(super) const fn is_per_item(&self) -> bool {
        matches!(
            self,
            Self::MissingHash
                | Self::WrongHash
                | Self::WrongListedSize
                | Self::LostTombstone
                | Self::InvalidTimestamps
        )
    }
}

/// What the body of an error looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// As documented.
    #[default]
    Json,
    /// A page for people, as a proxy in between writes it.
    Html,
    /// Nothing.
    Empty,
}

/// The `Retry-After` header (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// A date so many seconds from now.
    HttpDate(u64),
}

/// When the connection is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetMoment {
    /// Before anything was done.
    #[default]
    Before,
    /// After everything was done: only the answer is lost.
    After,
}

/// The inner error code of a 410.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResyncInner {
    /// `resyncChangesApplyDifferences`
    #[default]
    Apply,
    /// `resyncChangesUploadDifferences`
    Upload,
    /// None at all.
    None,
}

/// The `Location` header of a 410.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResyncLocation {
    /// A link that begins a fresh enumeration.
    #[default]
    Ok,
    /// A link that is answered with 500.
    Broken,
    /// No header.
    Absent,
}

/// The body of a 410.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResyncBody {
    /// As documented.
    #[default]
    Json,
    /// Plain text.
    Text,
}
