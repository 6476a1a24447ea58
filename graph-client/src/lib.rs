//! Microsoft Graph's drive calls: the drive, its delta feed, its items and their contents.
//!
//! ```text
//! GraphClient ─► request: one place that sends ─► Graph, with the bearer token
//!     │             ├─ throttle: a pause for all calls of the client, and slower calls before one is needed
//!     │             ├─ window: as many calls at once as the service bears
//!     │             ├─ retry: backoff with full jitter, bounded in number and time
//!     │             └─ challenge: a 401 asks the TokenSource for another token, once
//!     └─ download ─► the content's host, by a pre-authenticated link and without the token
//! ```
//!
//! Knows no gRPC and no database. A mirror that uses it cannot write to a drive: every request is a GET.
//!
//! Tokens, links and texts of answers stay out of logs, errors and `Debug`; requests are logged by the name of the operation
//! and the ids that Graph's support asks for.

mod bandwidth;
mod challenge;
mod client;
mod config;
mod download;
mod drive_path;
mod error;
mod http;
mod link;
mod model;
pub mod quick_xor;
mod randomness;
mod request;
mod retry;
mod throttle;
mod token;
mod window;

pub use bandwidth::Bandwidth;
pub use client::GraphClient;
pub use config::{ConfigError, DownloadHosts, GraphConfig, RetryLimits, Timeouts};
pub use download::{ByteSpan, Download, ERROR_TEXT_SUFFIX};
pub use drive_path::{DrivePath, MAX_ID_BYTES, PathError, PathId};
pub use error::{ErrorCodes, GraphError, Retry};
pub use link::{DeltaLink, DownloadLink, MAX_LINK_BYTES};
pub use model::{DeltaPage, Drive, DriveItem, DriveType, ItemKind, MAX_PAGE_ITEMS, PageLink};
pub use randomness::{Randomness, SystemRandomness};
pub use request::MAX_JSON_BYTES;
pub use throttle::{MAX_RETRY_AFTER, Share};
pub use token::{AccessToken, TokenError, TokenSource};
