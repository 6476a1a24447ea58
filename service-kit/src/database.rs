//! Connecting to SQLite or PostgreSQL the way both services need it.

use std::{
    fmt,
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
    sqlx::{
        self, Executor as _,
        postgres::PgPoolOptions,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use url::Url;

use crate::secret::SecretString;

/// How long a statement waits for another process or connection that is writing to the same SQLite file.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages that each connection to SQLite keeps to itself, in KiB. Those of a pool keep the same ones, which the system keeps as
/// well: SQLite's own 2 MiB each made nothing faster (`bench list-items`, `held-connections`) and cost 14 MiB.
const SQLITE_CACHE_KIBIBYTES: u32 = 256;
/// How long opening one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Who says nothing in a transaction for so many times as long as others wait for a connection is gone, and PostgreSQL lets go of what it
/// has locked.
const WAITS_IN_TRANSACTION: u32 = 3;
/// Ends whatever transaction a connection is in, and does nothing on one that is in none.
const LEAVE_TRANSACTION: &str = "BEGIN; ROLLBACK";

/// Where a database is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub struct DatabaseUrl {
    kind: Kind,
    password: Option<Arc<SecretString>>,
}

#[derive(Clone)]
enum Kind {
    Sqlite(PathBuf),
    Postgres(Url),
}

/// Why a text is not a database address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUrlError {
    /// Neither kind of database.
    #[error(
        "a database address begins with \"sqlite:\" or \"postgres://\", as in sqlite:/var/lib/sluice/token.db"
    )]
    UnknownScheme,
    /// No file is named.
    #[error(
        "name the SQLite file, as in sqlite:/var/lib/sluice/token.db; databases in memory are not supported"
    )]
    NoFile,
    /// Options in a SQLite address would undo settings that durability rests on.
    #[error("a SQLite address takes no options after \"?\"")]
    SqliteOptions,
    /// The address is not one.
    #[error("the address is not of the form postgres://user@host:port/database")]
    Malformed,
    /// Addresses end up in logs and process lists.
    #[error("a password must not stand in the address; put it in a file and name that")]
    Password,
}

impl DatabaseUrl {
    /// Reads `sqlite:/path/to/file.db` or `postgres://user@host:port/database?sslmode=verify-full`.
    ///
    /// # Errors
    /// The address names no such database, or contains a password.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let kind = if let Some(path) = text.strip_prefix("sqlite:") {
            Kind::Sqlite(sqlite_path(path)?)
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Kind::Postgres(postgres_url(text)?)
        } else {
            return Err(DatabaseUrlError::UnknownScheme);
        };
        Ok(Self { kind, password: None })
    }

    /// The SQLite database in this file.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self { kind: Kind::Sqlite(path.into()), password: None }
    }

    /// The same address with a password, which PostgreSQL gets and SQLite has no use for.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Self {
        self.password = Some(Arc::new(password));
        self
    }

    /// Whether this is an embedded database, which one process owns and migrates by itself.
    pub fn is_sqlite(&self) -> bool {
        matches!(self.kind, Kind::Sqlite(_))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Kind::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn sqlite_path(text: &str) -> Result<PathBuf, DatabaseUrlError> {
    let path = text.strip_prefix("//").unwrap_or(text);
    if path.is_empty() || path.starts_with(':') || path.ends_with('/') {
        return Err(DatabaseUrlError::NoFile);
    }
    if path.contains('?') {
        return Err(DatabaseUrlError::SqliteOptions);
    }
    Ok(PathBuf::from(path))
}

fn postgres_url(text: &str) -> Result<Url, DatabaseUrlError> {
    let Ok(url) = Url::parse(text) else { return Err(DatabaseUrlError::Malformed) };
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("password")) {
        return Err(DatabaseUrlError::Password);
    }
    if url.path().len() < 2 {
        return Err(DatabaseUrlError::Malformed);
    }
    Ok(url)
}

/// Bounds of a pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Most connections open at once.
    pub max_connections: u32,
    /// How long a caller waits for a free one.
    pub acquire_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { max_connections: 8, acquire_timeout: Duration::from_secs(10) }
    }
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The SQLite file could not be opened or made.
    #[error("cannot open the database file {}; its folder must exist and be writable", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database did not let us in.
    #[error("cannot connect to {database}")]
    Connect {
        /// The address, without password.
        database: String,
        /// What the driver said.
        #[source]
        source: DbErr,
    },
}

/// Opens a pool of connections. A SQLite file is made (mode 0600) if it is not there.
///
/// On SQLite every commit is on disk before it is reported (WAL with `synchronous=FULL`), foreign keys hold, and a writer
/// waits up to ten seconds for another. Statements are never logged nor put into spans: their values may be secrets.
///
/// Whoever waits for PostgreSQL may stop waiting at any time: the connection is taken into the pool again only when it answers within
/// the time that one waits for a free one, and is in no transaction.
///
/// # Errors
/// The file or server cannot be reached, or refuses.
pub async fn connect(
    database: &DatabaseUrl,
    pool: &PoolOptions,
) -> Result<DatabaseConnection, DatabaseError> {
    let mut options = match &database.kind {
        Kind::Sqlite(path) => sqlite_options(path)?,
        Kind::Postgres(url) => postgres_options(url, database.password.clone(), pool.acquire_timeout),
    };
    options
        .max_connections(pool.max_connections)
        .acquire_timeout(pool.acquire_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    Database::connect(options)
        .await
        .map_err(|source| DatabaseError::Connect { database: database.to_string(), source })
}

/// Begins a transaction that will write. On SQLite it takes the write lock at once: a transaction that reads first and
/// writes later could fail in the middle because another one wrote in between.
///
/// # Errors
/// No connection is free in time, or the lock is not.
pub async fn begin_write(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    database
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await
}

fn sqlite_options(path: &Path) -> Result<ConnectOptions, DatabaseError> {
    // Made here, and not by SQLite, for its mode; the files that SQLite keeps beside it (-wal, -shm) take that over.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| DatabaseError::File { path: path.to_owned(), source })?;
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite:");
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .filename(&file)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", format!("-{SQLITE_CACHE_KIBIBYTES}"))
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
    });
    Ok(options)
}

fn postgres_options(url: &Url, password: Option<Arc<SecretString>>, wait: Duration) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.as_str());
    options
        .map_sqlx_postgres_opts(move |postgres| match &password {
            Some(password) => postgres.password(password.expose()),
            None => postgres,
        })
        .map_sqlx_postgres_pool_opts(move |pool| only_usable(silence_ends(pool, wait), wait));
    options
}

/// Has PostgreSQL end transactions in which nothing is said for long. Not said while connecting: poolers such as PgBouncer refuse options
/// there.
fn silence_ends(pool: PgPoolOptions, wait: Duration) -> PgPoolOptions {
    let milliseconds = wait.saturating_mul(WAITS_IN_TRANSACTION).as_millis();
    pool.after_connect(move |connection, _| {
        let set = format!("SET idle_in_transaction_session_timeout = {milliseconds}");
        Box::pin(async move { connection.execute(sqlx::AssertSqlSafe(set)).await.map(drop) })
    })
}

/// Takes a connection back only if it answers, and out of any transaction. The driver does neither: it waits for a dead one as long as
/// the system does, with its place in the pool taken, and a transaction whose beginning nobody waited for stays open.
fn only_usable(pool: PgPoolOptions, wait: Duration) -> PgPoolOptions {
    pool.after_release(move |connection, _| {
        Box::pin(async move {
            let left = tokio::time::timeout(wait, connection.execute(LEAVE_TRANSACTION)).await;
            left.map_err(|late| sqlx::Error::Io(late.into()))??;
            Ok(true)
        })
    })
}

#[cfg(test)]
mod tests;
