//! Finds the source whose turn it is. What is looked at is what is due or under way, not what exists.

use sea_orm::{
    ColumnTrait as _, DbBackend, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Statement,
    sea_query::{Condition, LockBehavior, LockType},
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    Connection, StoreError, codes,
    entity::{
        run,
        source::{Column, Entity},
    },
    sources,
};
use crate::domain::{fairness::Claim, run::RunKind, source::Source};

/// Most sources, due or under way, that are weighed at once; the longest due come first.
const MAX_DUE: usize = 100_000;

/// Key of PostgreSQL's advisory lock under which runs are leased one after another, so that the caps hold: "sync" in ASCII. On
/// SQLite every writing transaction stands alone anyway.
const TURNSTILE: &str = "SELECT pg_advisory_xact_lock(1937337955)";

/// A source is free when no lease on it lives. `$1` is the time.
const FREE: &str = "(s.lease_expire_time IS NULL OR s.lease_expire_time <= $1)";

/// Whether a source is due that no worker holds.
///
/// # Errors
/// When the database fails.
pub async fn any(conn: &impl Connection, now: Timestamp) -> Result<bool, StoreError> {
    let sql =
        format!("SELECT 1 FROM sources s WHERE s.next_run_time <= $1 AND NOT s.suspended AND {FREE} LIMIT 1");
    let statement =
        Statement::from_sql_and_values(conn.get_database_backend(), sql, [now.as_millis().into()]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// Whether a run of these kinds that was asked for waits for a worker.
///
/// # Errors
/// When the database fails.
pub async fn any_waiting(
    conn: &impl Connection,
    kinds: &[RunKind],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let waiting =
        Entity::find().select_only().column(Column::SourceKey).filter(waiting(kinds)).filter(free(now));
    Ok(waiting.limit(1).into_tuple::<i64>().one(conn).await?.is_some())
}

/// Picks the source whose run of these kinds has waited longest, and keeps other workers from picking it.
///
/// # Errors
/// When the database fails.
pub async fn lock_waiting(
    conn: &impl Connection,
    kinds: &[RunKind],
    now: Timestamp,
) -> Result<Option<Source>, StoreError> {
    Entity::find()
        .filter(waiting(kinds))
        .filter(free(now))
        .order_by_asc(Column::WaitingRunKey)
        .limit(1)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(conn)
        .await?
        .map(sources::read)
        .transpose()
}

/// A run of these kinds waits.
fn waiting(kinds: &[RunKind]) -> Condition {
    let runs = run::Entity::find()
        .select_only()
        .column(run::Column::RunKey)
        .filter(run::Column::Kind.is_in(kinds.iter().map(|kind| codes::run_kind_code(*kind))))
        .into_query();
    let some = Column::WaitingRunKey.is_not_null();
    Condition::all().add(some).add(Column::WaitingRunKey.in_subquery(runs))
}

fn free(now: Timestamp) -> Condition {
    Condition::any().add(Column::LeaseExpireTime.is_null()).add(Column::LeaseExpireTime.lte(now.as_millis()))
}

/// Waits until nobody else is leasing, and keeps others from it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn stand_in_line(conn: &impl Connection) -> Result<(), StoreError> {
    if conn.get_database_backend() == DbBackend::Postgres {
        conn.execute_unprepared(TURNSTILE).await?;
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct ClaimRow {
    tenant_id: String,
    connection: String,
    held: i64,
    due_since: Option<i64>,
    last_turn: Option<i64>,
}

/// What each connection has due and under way. A leased source stays due until its run ends, so both are found in one place.
///
/// # Errors
/// When the database fails.
pub async fn claims(conn: &impl Connection, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
    let values = [now.as_millis().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), claims_sql(), values);
    let rows = ClaimRow::find_by_statement(statement).all(conn).await?;
    Ok(rows
        .into_iter()
        .map(|row| Claim {
            tenant: row.tenant_id,
            connection: row.connection,
            held: u32::try_from(row.held).unwrap_or(u32::MAX),
            due_since: row.due_since.map(Timestamp::from_millis),
            last_turn: row.last_turn.map(Timestamp::from_millis),
        })
        .collect())
}

fn claims_sql() -> String {
    format!(
        "SELECT s.tenant_id, s.connection, \
         CAST(SUM(CASE WHEN {FREE} THEN 0 ELSE 1 END) AS BIGINT) AS held, \
         MIN(CASE WHEN {FREE} AND NOT s.suspended THEN s.next_run_time END) AS due_since, \
         MAX(t.lease_time) AS last_turn \
         FROM (SELECT * FROM sources WHERE next_run_time <= $1 ORDER BY next_run_time LIMIT {MAX_DUE}) s \
         LEFT JOIN tenant_turns t ON t.tenant_id = s.tenant_id GROUP BY s.tenant_id, s.connection"
    )
}

/// Picks the source of a connection that is due longest and that no worker holds, and keeps other workers from picking it.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    conn: &impl Connection,
    connection: &str,
    now: Timestamp,
) -> Result<Option<Source>, StoreError> {
    Entity::find()
        .filter(Column::Connection.eq(connection))
        .filter(Column::NextRunTime.lte(now.as_millis()))
        .filter(Column::Suspended.eq(false))
        .filter(free(now))
        .order_by_asc(Column::NextRunTime)
        .order_by_asc(Column::SourceKey)
        .limit(1)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(conn)
        .await?
        .map(sources::read)
        .transpose()
}

/// Notes that a tenant had its turn.
///
/// # Errors
/// When the database fails.
pub async fn note_turn(
    conn: &impl Connection,
    tenant: &ResourceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tenant_turns (tenant_id, lease_time) VALUES ($1, $2) \
               ON CONFLICT (tenant_id) DO UPDATE SET lease_time = excluded.lease_time";
    let values = [tenant.as_str().into(), now.as_millis().into()];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::plan::tests::*, *};

    #[tokio::test]
    async fn what_is_due_is_found_by_index() {
        let database = database().await;
        let plan = query_plan(&database, &claims_sql()).await;
        let by_time = "SEARCH sources USING INDEX sources_by_next_run_time (next_run_time<?";
        assert!(plan.iter().any(|line| line.starts_with(by_time)), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.starts_with("SCAN sources")), "{plan:#?}");
        let pick = "SELECT * FROM sources WHERE connection = $1 AND next_run_time <= $2 AND suspended = FALSE \
                    ORDER BY next_run_time, source_key LIMIT 1";
        let plan = query_plan(&database, pick).await;
        assert!(plan[0].contains("sources_by_connection (connection=? AND next_run_time<?)"), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER BY")), "{plan:#?}");
    }
}
