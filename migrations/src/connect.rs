//! Opens the database that the command line names.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use url::Url;
use zeroize::Zeroizing;

/// How long another process may keep the database busy.
const WAIT: Duration = Duration::from_secs(30);

/// Why a database cannot be opened. No variant contains the password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("--database must be sqlite:/path/to/file.db or postgres://user@host:port/database")]
    Address,
    #[error(
        "--database must not contain a password; put it in a file and name that with --database-password-file"
    )]
    PasswordInAddress,
    #[error("cannot read the password in {}", path.display())]
    PasswordFile { path: PathBuf, source: io::Error },
    #[error("cannot open the database file {}; its folder must exist and be writable", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot connect to {database}")]
    Server { database: String, source: DbErr },
}

/// Opens one connection. A SQLite file is made with mode 0600 if it is not there.
pub(crate) async fn connect(
    database: &str,
    password_file: Option<&Path>,
) -> Result<DatabaseConnection, ConnectError> {
    let mut options = if let Some(path) = database.strip_prefix("sqlite:") {
        sqlite(path.strip_prefix("//").unwrap_or(path))?
    } else {
        postgres(database, password_file)?
    };
    options.max_connections(1).connect_timeout(WAIT).acquire_timeout(WAIT).sqlx_logging(false);
    Database::connect(options)
        .await
        .map_err(|source| ConnectError::Server { database: database.to_owned(), source })
}

fn sqlite(path: &str) -> Result<ConnectOptions, ConnectError> {
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(ConnectError::Address);
    }
    let path = PathBuf::from(path);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| ConnectError::File { path: path.clone(), source })?;
    let mut options = ConnectOptions::new("sqlite:");
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.filename(&path).create_if_missing(false).busy_timeout(WAIT)
    });
    Ok(options)
}

fn postgres(database: &str, password_file: Option<&Path>) -> Result<ConnectOptions, ConnectError> {
    let Ok(url) = Url::parse(database) else { return Err(ConnectError::Address) };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(ConnectError::Address);
    }
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("password")) {
        return Err(ConnectError::PasswordInAddress);
    }
    let password = password_file.map(read_password).transpose()?;
    let mut options = ConnectOptions::new(database);
    options.map_sqlx_postgres_opts(move |postgres| match &password {
        Some(password) => postgres.password(password.trim_end_matches(['\n', '\r'])),
        None => postgres,
    });
    Ok(options)
}

fn read_password(path: &Path) -> Result<Zeroizing<String>, ConnectError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| ConnectError::PasswordFile { path: path.to_owned(), source })
}
