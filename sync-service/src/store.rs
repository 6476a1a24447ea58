//! The sync database, on SQLite and PostgreSQL. The only place that knows sea-orm.
//!
//! Functions take a connection or a transaction; transactions are opened by the operations, so that their extent shows there.
//! No network call happens while one is open.

pub mod applied;
mod codes;
pub mod connections;
pub mod due;
mod entity;
pub mod findings;
pub mod items;
pub mod meetings;
pub mod notices;
pub mod pending;
pub mod plan;
pub mod runs;
pub mod scratch;
pub mod sources;
pub mod throttles;

pub use sea_orm::ConnectionTrait as Connection;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not do what it was asked; trying again may help.
    #[error("the sync database failed")]
    Database(#[from] DbErr),
    /// A row holds what Sluice never writes.
    #[error("table {table} holds an impossible row: {what}")]
    Inconsistent {
        /// Which table.
        table: &'static str,
        /// What is impossible about it.
        what: String,
    },
}

/// The sync database.
#[derive(Clone, Debug)]
pub struct Store {
    connection: DatabaseConnection,
}

/// A transaction that was opened for writing. Dropped without [`Txn::commit`], it never happened.
pub struct Txn(DatabaseTransaction);

impl Store {
    /// Uses a connected, migrated database.
    pub fn new(connection: DatabaseConnection) -> Self {
        Self { connection }
    }

    /// For single reads.
    pub fn read(&self) -> &impl Connection {
        &self.connection
    }

    /// Opens a transaction that will write.
    ///
    /// # Errors
    /// When the database is away or stays locked.
    pub async fn begin(&self) -> Result<Txn, StoreError> {
        Ok(Txn(service_kit::database::begin_write(&self.connection).await?))
    }
}

impl Txn {
    /// For reads and writes inside the transaction.
    pub fn conn(&self) -> &impl Connection {
        &self.0
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the database could not; then nothing of it happened.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}
