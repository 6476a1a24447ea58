//! A copy of one source's index that lives as long as it is used: what is tried out on it is never stored.
//!
//! It is a nameless SQLite database, in memory as far as SQLite's cache reaches and beyond that in a file of the system's folder for
//! temporary files, which is gone when the process ends, however it ends.

use std::time::Duration;

use migrations::{Policy, Schema, SchemaError};
use sea_orm::{
    ColumnTrait as _, ConnectOptions, Database, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use super::{
    Connection, Store, StoreError,
    entity::{item, run, source},
    items::BATCH,
};
use crate::domain::source::{RunKey, SourceKey};

/// How long a statement waits for the one connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// There is no room for it, or nowhere to put it.
    #[error("a scratch copy of the index cannot be made; the folder for temporary files needs room for it")]
    Make(#[source] StoreError),
    /// The schema of the copy could not be made.
    #[error("the schema of a scratch copy cannot be made")]
    Schema(#[from] SchemaError),
    /// What is to be copied cannot be read.
    #[error(transparent)]
    Read(StoreError),
}

/// Copies a source, one of its runs, and its items, a batch at a time.
///
/// # Errors
/// See [`ScratchError`].
pub async fn copy(from: &impl Connection, source: SourceKey, run: RunKey) -> Result<Store, ScratchError> {
    let make = |error: StoreError| ScratchError::Make(error);
    let read = |error: sea_orm::DbErr| ScratchError::Read(error.into());
    let scratch = open().await.map_err(make)?;
    migrations::ensure(&scratch.connection, Schema::Sync, Policy::MigrateEmbedded).await?;
    if let Some(row) = source::Entity::find_by_id(source.0).one(from).await.map_err(read)? {
        put::<source::Entity, _>(&scratch, vec![row.into_active_model()]).await.map_err(make)?;
    }
    if let Some(row) = run::Entity::find_by_id(run.0).one(from).await.map_err(read)? {
        put::<run::Entity, _>(&scratch, vec![row.into_active_model()]).await.map_err(make)?;
    }
    let mut after = String::new();
    loop {
        let rows = item::Entity::find()
            .filter(item::Column::SourceKey.eq(source.0))
            .filter(item::Column::ItemId.gt(after.as_str()))
            .order_by_asc(item::Column::ItemId)
            .limit(u64::try_from(BATCH).unwrap_or(u64::MAX))
            .all(from)
            .await
            .map_err(read)?;
        let Some(last) = rows.last() else { return Ok(scratch) };
        after.clone_from(&last.item_id);
        put::<item::Entity, _>(
            &scratch,
            rows.into_iter().map(sea_orm::IntoActiveModel::into_active_model).collect(),
        )
        .await
        .map_err(make)?;
    }
}

async fn put<E, A>(scratch: &Store, rows: Vec<A>) -> Result<(), StoreError>
where
    E: sea_orm::EntityTrait,
    A: sea_orm::ActiveModelTrait<Entity = E>,
{
    // A row that was read counts as unchanged, column by column; here every column is new.
    let rows = rows.into_iter().map(sea_orm::ActiveModelTrait::reset_all);
    E::insert_many(rows).exec_without_returning(&scratch.connection).await?;
    Ok(())
}

async fn open() -> Result<Store, StoreError> {
    let mut options = ConnectOptions::new("sqlite:");
    // The database belongs to its one connection and goes with it.
    options
        .max_connections(1)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .filename("")
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Delete)
                .synchronous(SqliteSynchronous::Off)
                .foreign_keys(true)
        });
    Ok(Store::new(Database::connect(options).await?))
}
