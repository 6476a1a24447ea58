//! The critic: notes what a client must never do to the real service, even where the answer looks harmless.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::lock::lock;

/// Most violations kept; later ones are only logged.
const MAX_VIOLATIONS: usize = 1_000;

/// What a client did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A bearer token was sent to a pre-authenticated download link (graph-behaviour §4.1).
    BearerOnDownloadLink,
    /// A call of the same app and tenant (after 429) or to the same drive (after 503) came before `Retry-After` had passed.
    RetryAfterIgnored,
    /// A refresh token was used that a newer one had made invalid.
    SupersededRefreshToken,
    /// A token was used again after it had been refused for good.
    RefusedTokenReused,
    /// A device code was polled faster than the interval allows (RFC 8628 §3.5).
    DeviceCodePolledTooFast,
    /// A bearer token was sent to the address of an upload session or of a copy (graph-behaviour §5.2).
    BearerOnUploadUrl,
    /// A chunk that was not the last had a length that is no multiple of 320 KiB (graph-behaviour §5.2).
    MisalignedChunk,
    /// An application that was declared a mirror wrote to a drive.
    WriteByMirror,
    /// The state of a copy was asked for more often than told.
    PolledTooFast,
    /// A download or delta link was used that was never issued: taken apart, or put together by hand.
    EditedLink,
}

/// One thing a client did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// What it was.
    pub kind: ViolationKind,
    /// Where it happened, without secrets.
    pub detail: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_milliseconds: u64,
}

/// Everything the critic noted.
#[derive(Debug, Default)]
pub(crate) struct Critic {
    violations: Mutex<Vec<Violation>>,
}

impl Critic {
    /// Notes a violation.
    pub(crate) fn note(&self, kind: ViolationKind, detail: String, at_milliseconds: u64) {
        tracing::warn!(violation = ?kind, "{detail}");
        let mut violations = lock(&self.violations);
        if violations.len() < MAX_VIOLATIONS {
            violations.push(Violation { kind, detail, at_milliseconds });
        }
    }

    /// Everything noted, oldest first.
    pub(crate) fn list(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }

    /// Everything noted, oldest first, and forgets it.
    pub(crate) fn take(&self) -> Vec<Violation> {
        std::mem::take(&mut *lock(&self.violations))
    }
}
