//! Opening SQLite databases, refusing bad addresses, and two writers at once.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::*;

async fn value(connection: &impl sea_orm::ConnectionTrait, sql: &str) -> String {
    let row =
        connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    row.try_get_by_index::<String>(0)
        .or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()))
        .unwrap()
}

#[test]
fn addresses_are_read() {
    for (text, shown) in [
        ("sqlite:/var/lib/token.db", "sqlite:/var/lib/token.db"),
        ("sqlite:///var/lib/token.db", "sqlite:/var/lib/token.db"),
        ("sqlite:token.db", "sqlite:token.db"),
        ("postgres://sluice@db:5432/token", "postgres://sluice@db:5432/token"),
        ("postgresql://db/token?sslmode=verify-full", "postgresql://db/token?sslmode=verify-full"),
    ] {
        assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), shown);
    }
}

#[test]
fn bad_addresses_are_refused() {
    use DatabaseUrlError::{Malformed, NoFile, Password, SqliteOptions, UnknownScheme};
    for (text, expected) in [
        ("", UnknownScheme),
        ("mysql://db/token", UnknownScheme),
        ("/var/lib/token.db", UnknownScheme),
        ("sqlite:", NoFile),
        ("sqlite::memory:", NoFile),
        ("sqlite:/var/lib/", NoFile),
        ("sqlite:/a.db?mode=memory", SqliteOptions),
        ("postgres://db", Malformed),
        ("postgres://db:port/token", Malformed),
        ("postgres://sluice:canary@db/token", Password),
        ("postgres://db/token?password=canary", Password),
        ("postgres://db/token?PassWord=canary", Password),
    ] {
        let error = DatabaseUrl::parse(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn a_password_is_never_shown() {
    let url = DatabaseUrl::parse("postgres://sluice@db/token").unwrap();
    let url = url.with_password(SecretString::new("canary-2b6e".to_owned()));
    assert!(!format!("{url} {url:?} {url:#?}").contains("canary"));
}

#[tokio::test]
async fn a_new_sqlite_file_is_ours_alone_and_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b%20#?.db");
    let connection = connect(&DatabaseUrl::sqlite(&path), &PoolOptions::default()).await.unwrap();
    connection.execute_unprepared("CREATE TABLE t (v TEXT)").await.unwrap();
    connection.execute_unprepared("INSERT INTO t VALUES ('x')").await.unwrap();

    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.contains(&path) && files.len() == 3, "{files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(value(&connection, "PRAGMA journal_mode").await, "wal");
    assert_eq!(value(&connection, "PRAGMA synchronous").await, "2");
    assert_eq!(value(&connection, "PRAGMA foreign_keys").await, "1");
    assert_eq!(value(&connection, "PRAGMA busy_timeout").await, "10000");
    assert_eq!(value(&connection, "PRAGMA cache_size").await, "-256");
}

#[tokio::test]
async fn sqlite_is_compiled_as_the_build_says() {
    let folder = tempfile::tempdir().unwrap();
    let connection =
        connect(&DatabaseUrl::sqlite(folder.path().join("a.db")), &PoolOptions::default()).await.unwrap();
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA compile_options"));
    let options: Vec<String> =
        rows.await.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    let has = |option: &str| options.iter().any(|given| given == option);
    assert!(has("ENABLE_QPSG") && has("DEFAULT_MEMSTATUS=0"), "see .cargo/config.toml: {options:?}");
    assert!(!has("ENABLE_MEMORY_MANAGEMENT"), "see .cargo/config.toml");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let error =
        connect(&DatabaseUrl::sqlite("/nonexistent/token.db"), &PoolOptions::default()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }));
    assert!(error.to_string().starts_with("cannot open the database file /nonexistent/token.db"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.db");
    fs::write(&path, "this is not a database, not at all, and long enough to look like one".repeat(20))
        .unwrap();
    let error = connect(&DatabaseUrl::sqlite(&path), &PoolOptions::default()).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn writers_that_read_first_do_not_lose_updates() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("token.db"));
    let connection = connect(&url, &PoolOptions::default()).await.unwrap();
    connection.execute_unprepared("CREATE TABLE t (n INTEGER NOT NULL)").await.unwrap();
    connection.execute_unprepared("INSERT INTO t VALUES (0)").await.unwrap();

    let writers = (0..16).map(|_| async {
        let transaction = begin_write(&connection).await.unwrap();
        let n: i64 = value(&transaction, "SELECT n FROM t").await.parse().unwrap();
        transaction.execute_unprepared(&format!("UPDATE t SET n = {}", n + 1)).await.unwrap();
        transaction.commit().await.unwrap();
    });
    futures_util::future::join_all(writers).await;
    assert_eq!(value(&connection, "SELECT n FROM t").await, "16");
}
