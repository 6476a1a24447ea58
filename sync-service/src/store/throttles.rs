//! Until when calls that share a limit of the provider wait.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Statement, sea_query::OnConflict,
};
use service_kit::clock::Timestamp;

use super::{
    Connection, StoreError,
    entity::throttle::{ActiveModel, Column, Entity},
};

/// Until when the calls of a budget wait; `None` where nobody ever had to.
///
/// # Errors
/// When the database fails.
pub async fn closed_until(conn: &impl Connection, budget: &str) -> Result<Option<Timestamp>, StoreError> {
    let row = Entity::find_by_id(budget.to_owned()).one(conn).await?;
    Ok(row.map(|row| Timestamp::from_millis(row.closed_until)))
}

/// Makes the calls of a budget wait until then; an earlier time never replaces a later one.
///
/// # Errors
/// When the database fails.
pub async fn close_until(conn: &impl Connection, budget: &str, until: Timestamp) -> Result<(), StoreError> {
    let row = ActiveModel { budget: Set(budget.to_owned()), closed_until: Set(until.as_millis()) };
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
