//! Until when calls that share a limit of the provider wait, how much of it there is, and how many runs share it.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, Statement,
    sea_query::OnConflict,
};
use service_kit::clock::Timestamp;

use super::{
    Connection, StoreError,
    entity::throttle::{ActiveModel, Column, Entity},
};
use crate::domain::source::SourceKey;

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Until when its calls wait; the epoch where nobody ever had to.
    pub closed_until: Timestamp,
    /// Resource units that the provider said it grants in a minute.
    pub units_per_minute: Option<u32>,
    /// Runs that share it: those that said so and whose leases live.
    pub sharers: u32,
}

/// How a budget stands at `now`.
///
/// # Errors
/// When the database fails.
pub async fn standing(conn: &impl Connection, budget: &str, now: Timestamp) -> Result<Standing, StoreError> {
    let row = Entity::find_by_id(budget.to_owned()).one(conn).await?;
    let sharing = "SELECT CAST(COUNT(*) AS BIGINT) AS sharers FROM sources WHERE budget = $1 AND lease_expire_time > $2";
    let values = [budget.into(), now.as_millis().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sharing, values);
    let sharers: i64 =
        conn.query_one_raw(statement).await?.map_or(Ok(0), |row| row.try_get("", "sharers"))?;
    let (closed_until, units) = row.map_or((0, None), |row| (row.closed_until, row.units_per_minute));
    Ok(Standing {
        closed_until: Timestamp::from_millis(closed_until),
        units_per_minute: units.and_then(|units| u32::try_from(units).ok()),
        sharers: u32::try_from(sharers).unwrap_or(u32::MAX),
    })
}

/// Notes whose budget the run of a source uses, for as long as its lease lives.
///
/// # Errors
/// When the database fails.
pub async fn use_budget(conn: &impl Connection, source: SourceKey, budget: &str) -> Result<(), StoreError> {
    let sql = "UPDATE sources SET budget = $2 WHERE source_key = $1";
    let values = [source.0.into(), budget.into()];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Notes how many resource units the provider grants in a minute. The budget's row is there.
///
/// # Errors
/// When the database fails.
pub async fn grant(conn: &impl Connection, budget: &str, units_per_minute: u32) -> Result<(), StoreError> {
    let sql = "UPDATE throttles SET units_per_minute = $2 WHERE budget = $1";
    let values = [budget.into(), i64::from(units_per_minute).into()];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Makes the calls of a budget wait until then; an earlier time never replaces a later one.
///
/// # Errors
/// When the database fails.
pub async fn close_until(conn: &impl Connection, budget: &str, until: Timestamp) -> Result<(), StoreError> {
    let row = ActiveModel {
        budget: Set(budget.to_owned()),
        closed_until: Set(until.as_millis()),
        units_per_minute: NotSet,
    };
    let keep = OnConflict::column(Column::Budget).do_nothing().to_owned();
    Entity::insert(row).on_conflict(keep).exec_without_returning(conn).await?;
    let later = "UPDATE throttles SET closed_until = $2 WHERE budget = $1 AND closed_until < $2";
    let values = [budget.into(), until.as_millis().into()];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), later, values)).await?;
    Ok(())
}

/// Forgets budgets that nothing was heard of since then.
///
/// # Errors
/// When the database fails.
pub async fn forget_before(conn: &impl Connection, time: Timestamp) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::ClosedUntil.lt(time.as_millis())).exec(conn).await?;
    Ok(())
}
