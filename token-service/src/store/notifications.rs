//! What PostgreSQL tells replicas the moment it is durable. Only a hint: whoever waits for one polls as well.

use sea_orm::{DatabaseConnection, DbBackend, sqlx::postgres::PgListener};

use super::{Store, StoreError};
use crate::domain::names::ConnectionName;

/// Channel of all notifications.
pub(super) const CHANNEL: &str = "sluice_token";
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
pub struct Notifications(PgListener);

impl Store {
    /// Listens; nothing on a database that cannot notify.
    pub async fn listen(&self) -> Result<Option<Notifications>, StoreError> {
        if self.database.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let mut listener = connect(&self.database).await.map_err(unavailable)?;
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Some(Notifications(listener)))
    }
}

impl Notifications {
    /// Waits for the next notification.
    pub async fn next(&mut self) -> Result<Notification, StoreError> {
        loop {
            let Some(heard) = self.0.try_recv().await.map_err(unavailable)? else {
                return Ok(Notification::Interrupted);
            };
            // What a later version announces is not for this one.
            if let Some(notification) = parse(heard.payload()) {
                return Ok(notification);
            }
        }
    }
}

async fn connect(database: &DatabaseConnection) -> Result<PgListener, sea_orm::sqlx::Error> {
    PgListener::connect_with(database.get_postgres_connection_pool()).await
}

fn parse(payload: &str) -> Option<Notification> {
    let (kind, name) = payload.split_once(' ')?;
    match kind {
        CHANGED => Some(Notification::Changed),
        REFRESHED => ConnectionName::parse(name).ok().map(Notification::Refreshed),
        _ => None,
    }
}

fn unavailable(error: sea_orm::sqlx::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
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
