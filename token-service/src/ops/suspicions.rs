//! Connections that were refused once without a reason. The second time it is believed.

use std::time::Duration;

use moka::sync::Cache;

use crate::domain::names::ConnectionName;

/// Most connections under suspicion.
const MAX_CONNECTIONS: u64 = 10_000;
/// How long a suspicion lasts.
const LASTS: Duration = Duration::from_hours(1);

/// Remembers refusals.
pub(super) struct Suspicions(Cache<ConnectionName, ()>);

impl Suspicions {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_CONNECTIONS).time_to_live(LASTS).build())
    }

    /// Whether the connection was under suspicion already. From now on it is.
    pub(super) fn is_confirmed(&self, connection: &ConnectionName) -> bool {
        let was_suspected = self.0.get(connection).is_some();
        self.0.insert(connection.clone(), ());
        was_suspected
    }

    /// The connection works, or is another one now.
    pub(super) fn clear(&self, connection: &ConnectionName) {
        self.0.invalidate(connection);
    }
}
