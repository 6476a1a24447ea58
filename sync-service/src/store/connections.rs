//! What token-service says of connections, and which sources sleep because of it.

use sea_orm::{FromQueryResult, Statement, Value};
use service_kit::clock::Timestamp;

use super::{Connection, StoreError, codes};
use crate::domain::{names::ConnectionName, source::Health};

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it gives tokens.
    pub usable: bool,
    /// When this service learned of it.
    pub change_time: Timestamp,
}

#[derive(FromQueryResult)]
struct KnownRow {
    usable: bool,
    change_time: i64,
}

#[derive(FromQueryResult)]
struct TokenRow {
    resume_token: String,
}

/// What is known of a connection; `None` when nothing was told yet.
///
/// # Errors
/// When the database fails.
pub async fn known(conn: &impl Connection, name: &ConnectionName) -> Result<Option<Known>, StoreError> {
    let sql = "SELECT usable, change_time FROM connection_states WHERE connection = $1";
    let row = KnownRow::find_by_statement(statement(conn, sql, [name.to_string().into()])).one(conn).await?;
    Ok(row.map(|row| Known { usable: row.usable, change_time: Timestamp::from_millis(row.change_time) }))
}

/// Notes the state of a connection; `None` when it is deleted.
///
/// # Errors
/// When the database fails.
pub async fn note(
    conn: &impl Connection,
    name: &ConnectionName,
    usable: Option<bool>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = Value::from(name.to_string());
    let statement = match usable {
        Some(usable) => statement(
            conn,
            "INSERT INTO connection_states (connection, usable, change_time) VALUES ($1, $2, $3) \
             ON CONFLICT (connection) DO UPDATE SET usable = excluded.usable, change_time = excluded.change_time",
            [name, usable.into(), now.as_millis().into()],
        ),
        None => statement(conn, "DELETE FROM connection_states WHERE connection = $1", [name]),
    };
    conn.execute_raw(statement).await?;
    Ok(())
}

/// Puts the sources of a connection to sleep until `until`, but for those that a worker has: their runs end by themselves. Gives how
/// many fell asleep.
///
/// # Errors
/// When the database fails.
pub async fn put_to_sleep(
    conn: &impl Connection,
    name: &ConnectionName,
    until: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "UPDATE sources SET asleep = TRUE, state = $2, next_run_time = $3 \
               WHERE connection = $1 AND NOT asleep AND open_run_key IS NULL";
    let state = codes::health_code(Health::NeedsPerson);
    let values = [name.to_string().into(), state.into(), until.as_millis().into()];
    Ok(conn.execute_raw(statement(conn, sql, values)).await?.rows_affected())
}

/// Wakes the sources of a connection that sleep. Gives how many there were.
///
/// # Errors
/// When the database fails.
pub async fn wake(conn: &impl Connection, name: &ConnectionName, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "UPDATE sources SET asleep = FALSE, state = $2, next_run_time = $3 \
               WHERE connection = $1 AND asleep";
    let state = codes::health_code(Health::Good);
    let values = [name.to_string().into(), state.into(), now.as_millis().into()];
    Ok(conn.execute_raw(statement(conn, sql, values)).await?.rows_affected())
}

/// How far the changes of connections are followed; empty before the first.
///
/// # Errors
/// When the database fails.
pub async fn resume_token(conn: &impl Connection) -> Result<String, StoreError> {
    let sql = "SELECT resume_token FROM connection_watch WHERE id = 1";
    let row = TokenRow::find_by_statement(statement(conn, sql, [])).one(conn).await?;
    Ok(row.map(|row| row.resume_token).unwrap_or_default())
}

/// Notes how far the changes of connections are followed.
///
/// # Errors
/// When the database fails.
pub async fn set_resume_token(conn: &impl Connection, token: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO connection_watch (id, resume_token) VALUES (1, $1) \
               ON CONFLICT (id) DO UPDATE SET resume_token = excluded.resume_token";
    conn.execute_raw(statement(conn, sql, [token.into()])).await?;
    Ok(())
}

fn statement<const N: usize>(conn: &impl Connection, sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(conn.get_database_backend(), sql, values)
}
