//! The calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::config::{Base, ConfigError, DownloadHosts, GraphConfig};
use crate::download::{ByteSpan, Download};
use crate::drive_path::{DrivePath, PathId};
use crate::error::GraphError;
use crate::link::{DeltaLink, DownloadLink};
use crate::model::{DeltaPage, Drive, DriveItem, WireDrive, WireItem, WirePage};
use crate::randomness::{Randomness, SystemRandomness};
use crate::request::{Operation, Sender};
use crate::throttle::Share;
use crate::token::TokenSource;

/// Resource units of reading one thing, or what changed.
const READ_UNITS: u32 = 1;

/// Resource units of a delta page without a token.
const ENUMERATE_UNITS: u32 = 2;

/// Reads drives. One client is shared by everything that one app does in one tenant: when the service throttles one call, all
/// of them wait. There is no call that writes.
pub struct GraphClient {
    base: Base,
    download_hosts: DownloadHosts,
    page_size: String,
    sender: Sender,
}

impl GraphClient {
    /// A client; nothing is sent yet.
    pub fn new(config: &GraphConfig) -> Result<Self, ConfigError> {
        Self::with_randomness(config, Arc::new(SystemRandomness))
    }

    /// A client whose delays and request ids come from `randomness`.
    pub fn with_randomness(
        config: &GraphConfig,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, ConfigError> {
        if config.page_size == 0 {
            return Err(ConfigError::PageSize);
        }
        Ok(Self {
            base: Base::parse(&config.base)?,
            download_hosts: config.download_hosts.clone(),
            page_size: config.page_size.to_string(),
            sender: Sender::new(config, randomness)?,
        })
    }

    /// A client with the same settings, connections and count of requests, for another app or directory: what throttles the one does
    /// not hold back the other.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            base: self.base.clone(),
            download_hosts: self.download_hosts.clone(),
            page_size: self.page_size.clone(),
            sender: self.sender.apart(),
        }
    }

    /// Sends nothing for so long, at most [`MAX_RETRY_AFTER`](crate::MAX_RETRY_AFTER): another process that shares the limits was
    /// told to wait.
    pub fn hold(&self, wait: Duration) {
        self.sender.fence().close(Instant::now(), wait);
    }

    /// Until when answers to this client closed the way, each time that they do. What [`Self::hold`] was told is not among them.
    pub fn closings(&self) -> watch::Receiver<Option<Instant>> {
        self.sender.fence().closings()
    }

    /// Uses no more of the provider's resource units than this share from now on: others share the budget.
    pub fn share(&self, share: Share) {
        self.sender.fence().share(share);
    }

    /// The resource units of a minute that answers told of, each time that they tell another number.
    pub fn budgets(&self) -> watch::Receiver<Option<u32>> {
        self.sender.fence().budgets()
    }

    /// How long nothing is sent from now on; zero when the way is free.
    pub fn held_for(&self) -> Duration {
        self.sender.fence().remaining(Instant::now())
    }

    /// Requests that may be under way at once now. It follows what the service bears.
    pub fn in_flight_limit(&self) -> u32 {
        self.sender.in_flight_limit()
    }

    /// The drive itself.
    pub async fn drive(&self, tokens: &dyn TokenSource, drive: &DrivePath) -> Result<Drive, GraphError> {
        let url = self.base.at(drive.segments());
        self.sender.json::<WireDrive>((Operation::Drive, READ_UNITS), &url, tokens).await?.try_into()
    }

    /// One page of the delta feed: where `cursor` leads, or the first page of a fresh enumeration without one. A fresh
    /// enumeration lists no deletions.
    ///
    /// An error for which [`GraphError::is_resync`] holds means: call again without a cursor. A feed that leads in circles is
    /// the caller's to notice.
    pub async fn delta_page(
        &self,
        tokens: &dyn TokenSource,
        drive: &DrivePath,
        cursor: Option<&DeltaLink>,
    ) -> Result<DeltaPage, GraphError> {
        let first;
        let (url, units) = if let Some(link) = cursor {
            (link.url(), READ_UNITS)
        } else {
            first = self.first_page(drive);
            (&first, ENUMERATE_UNITS)
        };
        let page: WirePage = self.sender.json((Operation::DeltaPage, units), url, tokens).await?;
        page.into_page(&self.base)
    }

    /// One item, with a fresh download link if it is a file.
    pub async fn item(
        &self,
        tokens: &dyn TokenSource,
        drive: &DrivePath,
        item_id: &str,
    ) -> Result<DriveItem, GraphError> {
        let id = PathId::parse(item_id).map_err(GraphError::Id)?;
        let url = self.base.at(drive.segments().into_iter().chain(["items", id.as_str()]));
        self.sender.json::<WireItem>((Operation::Item, READ_UNITS), &url, tokens).await?.try_into()
    }

    /// Opens the content behind a link, which never sees the bearer token. Repeats the request until the content begins; what
    /// breaks after that is for the caller to resume, with [`ByteSpan::From`] and, after about an hour, a fresh link.
    pub async fn download(&self, link: &DownloadLink, span: ByteSpan) -> Result<Download, GraphError> {
        let url = link.target(&self.base, &self.download_hosts)?;
        let range = span.header()?;
        let response = self.sender.open(&url, range.as_ref()).await?;
        Download::begin(response, &span, self.sender.idle_limit(), self.sender.bandwidth().cloned())
    }

    /// Takes back a link that was stored. It must lead to this client's service.
    pub fn delta_link(&self, text: &str) -> Result<DeltaLink, GraphError> {
        DeltaLink::parse(&self.base, text)
    }

    /// Requests sent since the client was made, repeated ones and downloads included.
    pub fn requests_sent(&self) -> u64 {
        self.sender.sent()
    }

    fn first_page(&self, drive: &DrivePath) -> Url {
        let mut url = self.base.at(drive.segments().into_iter().chain(["root", "delta"]));
        url.query_pairs_mut().append_pair("$top", &self.page_size);
        url
    }
}
