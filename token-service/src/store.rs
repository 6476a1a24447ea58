//! The token database: connections, shared access tokens, leases, state changes, webhook deliveries, authorizations, canaries.
//!
//! Everything secret arrives and leaves sealed. Reads stand on [`Store`]; whatever must happen together stands on a
//! [`WriteTransaction`], which `ops` opens and commits. A write that assumes something about a row compares the row's
//! generation and reports [`StoreError::Conflict`] when it moved. This folder is the only one that knows the database library.

mod access_tokens;
mod authorizations;
mod bounded;
mod canaries;
mod connection_changes;
mod connections;
mod directory_fences;
mod entity;
mod error;
mod import_leases;
mod notifications;
mod refresh_leases;
mod sign_in_claims;
mod waiting_deliveries;
mod webhooks;

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend};
use service_kit::clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::bounded::Bounded;
pub use access_tokens::{MAX_SCOPE_SETS, StoredAccessToken, access_token_row, scope_key};
pub use authorizations::Poll;
pub use connection_changes::{ChangeCount, ConnectionChange};
pub use connections::{ConnectionFilter, RowVersion, Successor};
pub use directory_fences::DirectoryFence;
pub use error::StoreError;
pub use notifications::{Notification, Notifications};
pub use waiting_deliveries::{DeliveryFilter, WaitingDelivery};
pub use webhooks::{Delivered, Delivery};

/// Tables and columns as they stand in associated data. They are part of the stored format: never rename them.
pub mod places {
    /// Table of connections.
    pub const CONNECTIONS: &str = "connections";
    /// Table of shared access tokens.
    pub const ACCESS_TOKENS: &str = "access_tokens";
    /// Table of authorizations.
    pub const AUTHORIZATIONS: &str = "authorizations";
    /// Table of state changes.
    pub const CONNECTION_CHANGES: &str = "connection_changes";
    /// Column of a wrapped data key.
    pub const DATA_KEY: &str = "data_key";
    /// Column of a refresh token.
    pub const REFRESH_TOKEN: &str = "refresh_token";
    /// Column of an access token.
    pub const ACCESS_TOKEN: &str = "access_token";
    /// Column of a device code.
    pub const DEVICE_CODE: &str = "device_code";
    /// Column of a user code.
    pub const USER_CODE: &str = "user_code";
}

/// Longest wait for the turn to write to SQLite: as long as SQLite itself waits for another process that writes.
const WRITE_TURN_WAIT: Duration = Duration::from_secs(10);

/// The token database.
pub struct Store {
    database: Bounded<DatabaseConnection>,
    clock: Arc<dyn Clock>,
    /// SQLite has one writer at a time. Those of this process queue here in their order: in SQLite each would hold a connection of
    /// the pool, which readers need, and look every so often whether it is its turn.
    write_turn: Option<Arc<Semaphore>>,
}

/// Changes that happen together or not at all; dropped without [`commit`](Self::commit), none of them happens.
pub struct WriteTransaction {
    inner: Bounded<DatabaseTransaction>,
    clock: Arc<dyn Clock>,
    /// Given on when the transaction has ended.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// Takes a database whose schema is current. Each operation ends within `patience`, waiting for a connection of the pool
    /// included; one that is cut off is [`StoreError::Unavailable`]. The clock stands for that of a database that has none of its own.
    pub fn new(database: DatabaseConnection, patience: Duration, clock: Arc<dyn Clock>) -> Self {
        let is_sqlite = database.get_database_backend() == DbBackend::Sqlite;
        let write_turn = is_sqlite.then(|| Arc::new(Semaphore::new(1)));
        Self { database: Bounded { inner: database, patience }, clock, write_turn }
    }

    /// Opens a transaction that writes. No network call belongs inside it.
    pub async fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let turn = match &self.write_turn {
            Some(turn) => Some(take_turn(turn).await.map_err(StoreError::Unavailable)?),
            None => None,
        };
        let inner = self.database.begin_write().await?;
        Ok(WriteTransaction { inner, clock: Arc::clone(&self.clock), _turn: turn })
    }
}

async fn take_turn(
    turn: &Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit, Box<dyn std::error::Error + Send + Sync>> {
    Ok(tokio::time::timeout(WRITE_TURN_WAIT, Arc::clone(turn).acquire_owned()).await??)
}

impl WriteTransaction {
    /// Makes the changes durable.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}
