//! What differs between the drive and the destination: how much, which items, and when they are tried again.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, Select, Statement, UpdateMany, sea_query::Expr,
};
use service_kit::clock::Timestamp;

use super::{
    Connection, StoreError, codes,
    entity::item::{Column, Entity},
    items::{self, Row},
};
use crate::domain::source::{RunKey, SourceKey};

/// How much differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Items that differ, deletions included.
    pub items: i64,
    /// Files to transfer.
    pub files: i64,
    /// Bytes of those.
    pub bytes: i64,
    /// Deletions of what is gone from the drive.
    pub deletions: i64,
}

#[derive(FromQueryResult)]
struct PendingRow {
    items: i64,
    files: i64,
    bytes: i64,
    deletions: i64,
}

/// Makes every item of a source be tried by the next run, however often it failed.
///
/// # Errors
/// When the database fails.
pub async fn end_back_off(conn: &impl Connection, source: SourceKey) -> Result<(), StoreError> {
    back_off_ended(source).exec(conn).await?;
    Ok(())
}

fn back_off_ended(source: SourceKey) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::NextAttemptTime, Expr::value(None::<i64>))
        .filter(Column::SourceKey.eq(source.0))
        .filter(Expr::cust(differs()))
        .filter(Column::NextAttemptTime.is_not_null())
}

/// Counts what differs, at the time a run started: files that it leaves alone are not counted as to be transferred. Costs as
/// much as differs, not as much as there is.
///
/// # Errors
/// When the database fails.
pub async fn count(
    conn: &impl Connection,
    source: SourceKey,
    run_start: Timestamp,
) -> Result<Pending, StoreError> {
    let values = [source.0.into(), run_start.as_millis().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), count_sql(), values);
    let row = PendingRow::find_by_statement(statement).one(conn).await?;
    Ok(row.map_or_else(Pending::default, |row| Pending {
        items: row.items,
        files: row.files,
        bytes: row.bytes,
        deletions: row.deletions,
    }))
}

fn count_sql() -> String {
    let put =
        format!("work = {} AND (next_attempt_time IS NULL OR next_attempt_time <= $2)", codes::PUT_CONTENT);
    format!(
        "SELECT CAST(COUNT(*) AS BIGINT) AS items, \
         CAST(COALESCE(SUM(CASE WHEN {put} THEN 1 ELSE 0 END), 0) AS BIGINT) AS files, \
         CAST(COALESCE(SUM(CASE WHEN {put} THEN size ELSE 0 END), 0) AS BIGINT) AS bytes, \
         CAST(COALESCE(SUM(CASE WHEN work = {delete} THEN 1 ELSE 0 END), 0) AS BIGINT) AS deletions \
         FROM items WHERE source_key = $1 AND {differs}",
        delete = codes::DELETE,
        differs = differs()
    )
}

/// Lists items that differ, behind the id given, by id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl Connection,
    source: SourceKey,
    after: &str,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let rows = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        // Bound, so that the items are walked by id: each page goes on where the one before it ended.
        .filter(Column::Work.ne(codes::NO_WORK))
        .filter(Column::ItemId.gt(after))
        .order_by_asc(Column::ItemId)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(items::read).collect()
}

/// Lists items that differ by what is to be done and id: those that failed in one run, or all. Costs as much as differs, not as much as
/// there is.
///
/// # Errors
/// When the database fails.
pub async fn list_left(
    conn: &impl Connection,
    source: SourceKey,
    failed_in: Option<RunKey>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    left(source, failed_in, limit).all(conn).await?.into_iter().map(items::read).collect()
}

fn left(source: SourceKey, failed_in: Option<RunKey>, limit: u64) -> Select<Entity> {
    Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Expr::cust(differs()))
        .apply_if(failed_in, |query, run| query.filter(Column::FailedRunKey.eq(run.0)))
        .order_by_asc(Column::Work)
        .order_by_asc(Column::ItemId)
        .limit(limit)
}

/// Whether anything is to be done for an item. First the condition of the index of such items, as it stands there: bound as a value, it
/// would not be known again. Then a range to search that index by: without, another one on the source alone looks as good.
fn differs() -> String {
    format!("work <> {none} AND work > {none}", none = codes::NO_WORK)
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::{
        super::plan::tests::{database, explain},
        *,
    };

    /// However many items there are, what has nothing to do costs nothing.
    #[tokio::test]
    async fn what_differs_is_found_by_the_index_on_work() {
        let database = database().await;
        let source = SourceKey(1);
        for statement in [
            back_off_ended(source).build(DbBackend::Sqlite),
            left(source, None, 10).build(DbBackend::Sqlite),
            left(source, Some(RunKey(1)), 10).build(DbBackend::Sqlite),
            Statement::from_sql_and_values(DbBackend::Sqlite, count_sql(), [1_i64.into(), 1_i64.into()]),
        ] {
            let plan = explain(&database, statement).await;
            assert_eq!(plan, ["SEARCH items USING INDEX items_by_work (source_key=? AND work>?)"]);
        }
    }
}
