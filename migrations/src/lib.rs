//! The schemas of the token and the sync database, on SQLite and PostgreSQL, and what applies them.
//!
//! A database belongs to one service; the two may share a server, and their tables do not clash if they share a database.
//! `sluice-migrate` applies a schema as a job of its own; a service that starts calls [`ensure`]. Everything that one call
//! changes happens in one transaction under a lock, so two callers at once, or a kill in between, leave a whole schema.

#![expect(
    elided_lifetimes_in_paths,
    reason = "`MigrationTrait` has its lifetimes from async_trait, which only `&SchemaManager`, spelled so, matches"
)]

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::{MigratorTrait, SchemaManager};

mod sync;
mod token;

/// Key of PostgreSQL's advisory lock that callers take while they change a schema: "sluice" in ASCII.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock(126930078294885)";

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The token database.
    Token,
    /// The sync database.
    Sync,
}

impl Schema {
    /// The name on `sluice-migrate`'s command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Sync => "sync",
        }
    }
}

/// What a service that starts does about a schema that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Migrates by itself: an embedded database has one owner.
    MigrateEmbedded,
    /// Refuses: replicas that migrate on start would change the schema under those still running.
    RequireCurrent,
}

/// One migration and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Name, which begins with its date and number.
    pub name: String,
    /// Where it stands.
    pub state: MigrationState,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// Known here, not in the database yet.
    Pending,
    /// In the database.
    Applied,
    /// In the database, not known here: a newer Sluice made it.
    Unknown,
}

/// Why a schema is not as it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Migrations are missing.
    #[error(
        "the {schema} database lacks {} migration(s), the first is {}; run `sluice-migrate {schema} up --database …`",
        pending.len(), pending.first().map_or("", String::as_str)
    )]
    Behind {
        /// `token` or `sync`.
        schema: &'static str,
        /// What is missing, oldest first.
        pending: Vec<String>,
    },
    /// A newer Sluice changed the database.
    #[error(
        "the {schema} database has migration(s) that this version does not know, the first is {}; use a newer version",
        unknown.first().map_or("", String::as_str)
    )]
    Ahead {
        /// `token` or `sync`.
        schema: &'static str,
        /// What is unknown, oldest first.
        unknown: Vec<String>,
    },
    /// The list of applied migrations cannot be read.
    #[error("cannot read which migrations the {schema} database has")]
    Read {
        /// `token` or `sync`.
        schema: &'static str,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// A migration failed; nothing is changed.
    #[error("cannot change the schema of the {schema} database; it is as it was")]
    Change {
        /// `token` or `sync`.
        schema: &'static str,
        /// What the database said.
        #[source]
        source: DbErr,
    },
}

/// Applies every pending migration, all or none.
///
/// # Errors
/// [`SchemaError::Ahead`], [`SchemaError::Read`] or [`SchemaError::Change`].
pub async fn up(database: &DatabaseConnection, schema: Schema) -> Result<(), SchemaError> {
    change(database, schema, Direction::Up).await
}

/// Reverts the newest `steps` migrations, or all, all or none. What they held is lost.
///
/// # Errors
/// [`SchemaError::Ahead`], [`SchemaError::Read`] or [`SchemaError::Change`].
pub async fn down(
    database: &DatabaseConnection,
    schema: Schema,
    steps: Option<u32>,
) -> Result<(), SchemaError> {
    change(database, schema, Direction::Down(steps)).await
}

/// Lists every migration, known here or applied there, oldest first. Changes nothing.
///
/// # Errors
/// [`SchemaError::Read`].
pub async fn status(database: &DatabaseConnection, schema: Schema) -> Result<Vec<Migration>, SchemaError> {
    read(database, schema).await.map_err(|source| SchemaError::Read { schema: schema.name(), source })
}

/// What a service does before it uses its database: migrates or refuses one that is behind, and refuses one that is ahead.
///
/// # Errors
/// Any [`SchemaError`].
pub async fn ensure(
    database: &DatabaseConnection,
    schema: Schema,
    policy: Policy,
) -> Result<(), SchemaError> {
    let pending = pending(schema, &status(database, schema).await?)?;
    if pending.is_empty() {
        return Ok(());
    }
    match policy {
        Policy::MigrateEmbedded => up(database, schema).await,
        Policy::RequireCurrent => Err(SchemaError::Behind { schema: schema.name(), pending }),
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down(Option<u32>),
}

async fn change(
    database: &DatabaseConnection,
    schema: Schema,
    direction: Direction,
) -> Result<(), SchemaError> {
    let failed = |source| SchemaError::Change { schema: schema.name(), source };
    let transaction = begin_exclusive(database).await.map_err(failed)?;
    // Read again under the lock: what came before may have changed while we waited for it.
    let known = read(&transaction, schema)
        .await
        .map_err(|source| SchemaError::Read { schema: schema.name(), source })?;
    pending(schema, &known)?;
    match (schema, direction) {
        (Schema::Token, Direction::Up) => token::Migrator::up(&transaction, None).await,
        (Schema::Token, Direction::Down(steps)) => token::Migrator::down(&transaction, steps).await,
        (Schema::Sync, Direction::Up) => sync::Migrator::up(&transaction, None).await,
        (Schema::Sync, Direction::Down(steps)) => sync::Migrator::down(&transaction, steps).await,
    }
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

async fn begin_exclusive(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = database
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(ADVISORY_LOCK).await?;
    }
    Ok(transaction)
}

/// Names of what is missing, if nothing is unknown.
fn pending(schema: Schema, all: &[Migration]) -> Result<Vec<String>, SchemaError> {
    let named = |state| {
        let some = all.iter().filter(move |migration| migration.state == state);
        some.map(|migration| migration.name.clone()).collect::<Vec<_>>()
    };
    let unknown = named(MigrationState::Unknown);
    if unknown.is_empty() {
        Ok(named(MigrationState::Pending))
    } else {
        Err(SchemaError::Ahead { schema: schema.name(), unknown })
    }
}

async fn read<'c>(
    database: impl Into<DatabaseExecutor<'c>>,
    schema: Schema,
) -> Result<Vec<Migration>, DbErr> {
    match schema {
        Schema::Token => read_of::<token::Migrator>(database.into()).await,
        Schema::Sync => read_of::<sync::Migrator>(database.into()).await,
    }
}

async fn read_of<M: MigratorTrait>(database: DatabaseExecutor<'_>) -> Result<Vec<Migration>, DbErr> {
    let manager = SchemaManager::new(database);
    let applied: BTreeSet<String> = if manager.has_table(M::migration_table_name().to_string()).await? {
        M::get_migration_models(manager.get_connection())
            .await?
            .into_iter()
            .map(|model| model.version)
            .collect()
    } else {
        BTreeSet::new()
    };
    let known: BTreeSet<String> =
        M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let state_of = |name: &String| match (known.contains(name), applied.contains(name)) {
        (true, true) => MigrationState::Applied,
        (true, false) => MigrationState::Pending,
        (false, _) => MigrationState::Unknown,
    };
    Ok(known.union(&applied).map(|name| Migration { name: name.clone(), state: state_of(name) }).collect())
}
