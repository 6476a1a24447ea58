//! What was asked and answered, counted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::lock::lock;

/// The kinds of requests, for counting and for aiming faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A drive.
    Drive,
    /// An item, by id or path.
    Item,
    /// The children of a folder.
    Children,
    /// The delta feed.
    Delta,
    /// The content of an item: the redirect to a download link.
    Content,
    /// A download link.
    Download,
    /// A change of an item or a folder: new folders, new names, deletions, copies, sharing.
    Write,
    /// A small upload, or the beginning of an upload session.
    Upload,
    /// The address of an upload session.
    Fragment,
    /// Several requests in one.
    Batch,
    /// Subscriptions.
    Subscription,
    /// Sites, users, and lists of drives.
    Site,
    /// The address that tells how far a copy is.
    Monitor,
    /// A notification the simulator sends.
    Notification,
    /// Entra's token endpoint.
    Token,
    /// Entra's device-code endpoint.
    DeviceCode,
    /// Entra's authorization endpoint and the pages that follow it.
    Authorize,
    /// Entra's discovery document and keys.
    Discovery,
    /// Anything the simulator does not know.
    Unknown,
}

impl Endpoint {
    /// Whether the request is one to Graph itself: with a bearer token, and counted by the service.
    pub(crate) const fn is_graph(self) -> bool {
        matches!(
            self,
            Self::Drive
                | Self::Item
                | Self::Children
                | Self::Delta
                | Self::Content
                | Self::Write
                | Self::Upload
                | Self::Batch
                | Self::Subscription
                | Self::Site
        )
    }
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests by kind, refused ones included.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Requests to Graph itself: all that need a bearer token; downloads by link are not among them.
    pub graph_requests: u64,
    /// Answers by HTTP status, downloads and Entra included.
    pub statuses: BTreeMap<u16, u64>,
    /// Content bytes sent by download links.
    pub bytes_served: u64,
    /// Content bytes received by uploads.
    pub bytes_received: u64,
    /// Items told by the delta feed, repetitions included.
    pub delta_items: u64,
    /// Access tokens issued.
    pub access_tokens: u64,
    /// Successful uses of a refresh token.
    pub refreshes: u64,
    /// Uses of a refresh token that had been used before, whatever came of it.
    pub refresh_token_reuse: u64,
    /// Token requests that carried a claims challenge.
    pub claims_requests: u64,
    /// Requests refused by the resource-unit limit.
    pub throttled: u64,
    /// Faults that struck.
    pub faults: u64,
}

impl Counts {
    /// Requests of a kind.
    #[must_use]
    pub fn of(&self, endpoint: Endpoint) -> u64 {
        self.requests.get(&endpoint).copied().unwrap_or_default()
    }
}

/// The counters of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: Mutex<Counts>,
}

impl Counters {
    /// Counts a request.
    pub(crate) fn request(&self, endpoint: Endpoint) {
        self.add(|counts| {
            *counts.requests.entry(endpoint).or_default() += 1;
            counts.graph_requests += u64::from(endpoint.is_graph());
        });
    }

    /// Counts an answer.
    pub(crate) fn status(&self, status: StatusCode) {
        self.add(|counts| *counts.statuses.entry(status.as_u16()).or_default() += 1);
    }

    /// Counts whatever the closure says.
    pub(crate) fn add(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut lock(&self.counts));
    }

    /// The present counts.
    pub(crate) fn get(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Begins at zero; returns what was counted until now.
    pub(crate) fn reset(&self) -> Counts {
        std::mem::take(&mut lock(&self.counts))
    }
}
