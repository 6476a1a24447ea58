//! Every migration can be applied, reverted and applied again, on SQLite and, where `TEST_DATABASE_URL` names a server
//! that lets us create databases, on PostgreSQL.

#![cfg(test)]

use std::{collections::BTreeSet, env, path::Path};

use migrations::{MigrationState, Policy, Schema, SchemaError};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement,
    sqlx::sqlite::SqliteConnectOptions,
};

const SCHEMAS: [Schema; 2] = [Schema::Token, Schema::Sync];

/// Everything but the lists of applied migrations and the table in which SQLite keeps the counters of others.
const SQLITE_SNAPSHOT: &str = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema \
     WHERE name NOT LIKE '%_migrations%' AND name <> 'sqlite_sequence'";
const POSTGRES_SNAPSHOT: &str = "SELECT 'column ' || table_name || '.' || column_name || ': ' || data_type || ' ' || \
     is_nullable || ' ' || coalesce(column_default, '') FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name NOT LIKE '%\\_migrations' \
     UNION ALL SELECT 'index ' || indexname || ': ' || indexdef FROM pg_indexes \
     WHERE schemaname = current_schema() AND tablename NOT LIKE '%\\_migrations' \
     UNION ALL SELECT 'constraint ' || conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint \
     WHERE connamespace = current_schema()::regnamespace AND conrelid <> 0 \
     AND conrelid::regclass::text NOT LIKE '%\\_migrations'";

async fn sqlite(folder: &Path) -> DatabaseConnection {
    let file = folder.join("test.db");
    let mut options = ConnectOptions::new("sqlite:");
    options
        .map_sqlx_sqlite_opts(move |_| SqliteConnectOptions::new().filename(&file).create_if_missing(true));
    Database::connect(options).await.unwrap()
}

async fn snapshot(database: &DatabaseConnection) -> BTreeSet<String> {
    let backend = database.get_database_backend();
    let sql = if backend == DbBackend::Postgres { POSTGRES_SNAPSHOT } else { SQLITE_SNAPSHOT };
    let rows = database.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn states(database: &DatabaseConnection, schema: Schema) -> BTreeSet<&'static str> {
    let all = migrations::status(database, schema).await.unwrap();
    assert!(!all.is_empty());
    all.iter()
        .map(|migration| match migration.state {
            MigrationState::Pending => "pending",
            MigrationState::Applied => "applied",
            MigrationState::Unknown => "unknown",
        })
        .collect()
}

async fn up_down_up(database: &DatabaseConnection, schema: Schema) {
    let before = snapshot(database).await;
    assert_eq!(states(database, schema).await, BTreeSet::from(["pending"]));

    migrations::up(database, schema).await.unwrap();
    let first = snapshot(database).await;
    assert!(first.len() > before.len());
    assert_eq!(states(database, schema).await, BTreeSet::from(["applied"]));

    migrations::down(database, schema, None).await.unwrap();
    assert_eq!(snapshot(database).await, before);

    migrations::up(database, schema).await.unwrap();
    assert_eq!(snapshot(database).await, first);
    migrations::up(database, schema).await.unwrap();
    assert_eq!(snapshot(database).await, first);
}

/// Both schemas in one database: their tables must not clash.
async fn both(database: &DatabaseConnection) {
    for schema in SCHEMAS {
        up_down_up(database, schema).await;
    }
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    both(&sqlite(folder.path()).await).await;
}

#[tokio::test]
async fn on_postgres() {
    let Ok(server) = test_server() else {
        println!("TEST_DATABASE_URL is not set: PostgreSQL is not tested");
        return;
    };
    let maintenance = Database::connect(&server).await.unwrap();
    let name = format!("sluice_up_down_up_{}", std::process::id());
    maintenance.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    let database = Database::connect(format!("{head}/{name}")).await.unwrap();
    both(&database).await;
    database.close().await.unwrap();
    maintenance.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line to take its server from")]
fn test_server() -> Result<String, env::VarError> {
    env::var("TEST_DATABASE_URL")
}

#[tokio::test]
async fn steps_are_reverted_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(folder.path()).await;
    migrations::up(&database, Schema::Token).await.unwrap();
    migrations::down(&database, Schema::Token, Some(1)).await.unwrap();
    let all = migrations::status(&database, Schema::Token).await.unwrap();
    let (newest, older) = all.split_last().unwrap();
    assert_eq!(newest.state, MigrationState::Pending);
    assert!(!older.is_empty() && older.iter().all(|migration| migration.state == MigrationState::Applied));
}

#[tokio::test]
async fn a_schema_that_is_behind_is_refused_with_what_to_run_or_migrated() {
    for schema in SCHEMAS {
        let folder = tempfile::tempdir().unwrap();
        let database = sqlite(folder.path()).await;
        let text =
            migrations::ensure(&database, schema, Policy::RequireCurrent).await.unwrap_err().to_string();
        assert!(text.contains(&format!("run `sluice-migrate {} up --database …`", schema.name())), "{text}");
        assert!(snapshot(&database).await.is_empty(), "a refusal changed the database");

        migrations::ensure(&database, schema, Policy::MigrateEmbedded).await.unwrap();
        migrations::ensure(&database, schema, Policy::RequireCurrent).await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_that_is_ahead_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(folder.path()).await;
    migrations::up(&database, Schema::Token).await.unwrap();
    let newer = "INSERT INTO token_migrations (version, applied_at) VALUES ('m29990101_000001_change_it', 0)";
    database.execute_unprepared(newer).await.unwrap();
    let before = snapshot(&database).await;
    for policy in [Policy::MigrateEmbedded, Policy::RequireCurrent] {
        let error = migrations::ensure(&database, Schema::Token, policy).await.unwrap_err();
        assert!(matches!(error, SchemaError::Ahead { .. }), "{error}");
    }
    assert!(matches!(migrations::up(&database, Schema::Token).await, Err(SchemaError::Ahead { .. })));
    assert!(matches!(migrations::down(&database, Schema::Token, None).await, Err(SchemaError::Ahead { .. })));
    assert_eq!(snapshot(&database).await, before);
    assert!(states(&database, Schema::Token).await.contains("unknown"));
}

#[tokio::test]
async fn starters_at_the_same_time_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (sqlite(folder.path()).await, sqlite(folder.path()).await);
    let (first, second) = tokio::join!(
        migrations::ensure(&one, Schema::Sync, Policy::MigrateEmbedded),
        migrations::ensure(&two, Schema::Sync, Policy::MigrateEmbedded),
    );
    first.unwrap();
    second.unwrap();
    assert_eq!(states(&one, Schema::Sync).await, BTreeSet::from(["applied"]));
}
