//! Rows as the database has them. Times are milliseconds since the Unix epoch.

pub(super) mod access_token;
pub(super) mod authorization;
pub(super) mod change_counter;
pub(super) mod connection;
pub(super) mod connection_change;
pub(super) mod directory_fence;
pub(super) mod import_lease;
pub(super) mod keyring_canary;
pub(super) mod refresh_lease;
pub(super) mod sign_in_claims;
pub(super) mod webhook_delivery;
pub(super) mod webhook_endpoint;
