//! A directory (Entra tenant) that throttled one request of the app is asked nothing more until its time is over: all connections of
//! one app and directory share what the provider grants them.

use moka::sync::Cache;
use service_kit::clock::Timestamp;

use super::OpError;
use crate::domain::connection::Connection;

/// Most directories that are remembered.
const MAX_DIRECTORIES: u64 = 10_000;

#[derive(Clone)]
struct Fence {
    until: Timestamp,
    cause: String,
}

/// Directories to leave alone.
pub(super) struct DirectoryFences(Cache<String, Fence>);

impl DirectoryFences {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_DIRECTORIES).build())
    }

    /// Leaves the directory of a connection alone. A fence is never lowered by a later, shorter one.
    pub(super) fn raise(&self, connection: &Connection, until: Timestamp, cause: &str) {
        let Some(account) = &connection.account else { return };
        let standing = self.0.get(&account.directory_id).map_or(until, |fence| fence.until);
        let fence = Fence { until: until.max(standing), cause: cause.to_owned() };
        self.0.insert(account.directory_id.clone(), fence);
    }

    /// The failure to answer instead of asking the provider; nothing when it may be asked.
    pub(super) fn standing(&self, connection: &Connection, now: Timestamp) -> Option<OpError> {
        let fence = self.0.get(&connection.account.as_ref()?.directory_id)?;
        let retry_after = fence.until.duration_since(now);
        (!retry_after.is_zero()).then_some(OpError::ProviderThrottled { cause: fence.cause, retry_after })
    }
}
