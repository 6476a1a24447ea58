//! What the service does: one file per use case, and the parts they share.
//!
//! Use cases take a [`Context`] first and speak in domain types. They decide nothing that `domain` can decide, and they are
//! the only callers of `store`, `crypto`, `provider` and `webhook`.

pub mod change_feed;
pub mod connection_requests;
pub mod create_connection;
pub mod deliver_webhooks;
pub mod get_access_token;
pub mod poll_authorizations;
pub mod refresh_ahead;
pub mod refresh_connection;
pub mod start_device_authorization;
pub mod watch_authorization;
pub mod watch_connections;

mod app_health;
mod authorization_signals;
mod context;
mod cooldowns;
mod custody;
mod database_state;
mod directory_budgets;
mod directory_fences;
mod error;
mod first_request;
mod keyring_check;
mod refresh;
mod refresh_queue;
mod refresh_signals;
mod sign_in;
mod single_flight;
mod store_surely;
mod suspicions;
mod token_cache;

pub use app_health::{AppHealth, Health, RefreshOutcome};
pub use context::{Context, Parts, RefreshTimes};
pub use error::{OpError, RefusedPart};
pub use keyring_check::{KeyringMismatch, check_keyring, database_has_canaries};
