//! What PostgreSQL tells replicas the moment it is durable. Only a hint: whoever waits for one polls as well.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait as _, DbBackend,
    sqlx::{
        Executor as _,
        postgres::{PgListener, PgPoolOptions},
    },
};
use tokio::time::timeout;

use super::{Store, StoreError};
use crate::domain::names::ConnectionName;

/// Channel of all notifications.
pub(super) const CHANNEL: &str = "sluice_token";
/// Listens to it. Whoever listens already may say so again: it changes nothing, and shows whether anybody is there.
const LISTEN: &str = "LISTEN sluice_token";
/// A connection's state changed.
pub(super) const CHANGED: &str = "changed";
/// A refresh of a connection ended.
pub(super) const REFRESHED: &str = "refreshed";

/// What was announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notification {
    /// The state of a connection changed, or it is gone.
    Changed,
    /// A refresh of this connection ended.
    Refreshed(ConnectionName),
    /// The line was cut and is up again: anything may have been missed.
    Interrupted,
}

/// A connection to the database that listens.
pub struct Notifications {
    listener: PgListener,
    patience: Duration,
}

impl Store {
    /// Listens; nothing on a database that cannot notify.
    pub async fn listen(&self) -> Result<Option<Notifications>, StoreError> {
        if self.database.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let patience = self.database.patience;
        // None of the pool's: one that is dead without a word keeps its place until the system gives it up.
        let options = self.database.inner.get_postgres_connection_pool().connect_options();
        let alone = PgPoolOptions::new().max_connections(1).acquire_timeout(patience);
        let alone = alone.connect_lazy_with((*options).clone());
        let mut listener = PgListener::connect_with(&alone).await.map_err(unavailable)?;
        timeout(patience, listener.listen(CHANNEL)).await.map_err(unavailable)?.map_err(unavailable)?;
        Ok(Some(Notifications { listener, patience }))
    }
}

impl Notifications {
    /// Waits for the next notification. A line that stays quiet is tried now and then: nothing is heard from one that is dead, either.
    pub async fn next(&mut self) -> Result<Notification, StoreError> {
        loop {
            let Ok(heard) = timeout(self.patience, self.listener.try_recv()).await else {
                let tried = timeout(self.patience, self.listener.execute(LISTEN));
                tried.await.map_err(unavailable)?.map_err(unavailable)?;
                continue;
            };
            let Some(heard) = heard.map_err(unavailable)? else { return Ok(Notification::Interrupted) };
            // What a later version announces is not for this one.
            if let Some(notification) = parse(heard.payload()) {
                return Ok(notification);
            }
        }
    }
}

fn parse(payload: &str) -> Option<Notification> {
    let (kind, name) = payload.split_once(' ')?;
    match kind {
        CHANGED => Some(Notification::Changed),
        REFRESHED => ConnectionName::parse(name).ok().map(Notification::Refreshed),
        _ => None,
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_and_unknown_ones_are_not_for_us() {
        let name = "tenants/a/connections/b";
        let refreshed = Notification::Refreshed(ConnectionName::parse(name).unwrap());
        assert_eq!(parse(&format!("{REFRESHED} {name}")), Some(refreshed));
        assert_eq!(parse(&format!("{CHANGED} {name}")), Some(Notification::Changed));
        for unknown in ["", "refreshed", "refreshed nonsense", "rekeyed tenants/a/connections/b"] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }
}
