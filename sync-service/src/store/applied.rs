//! What the destination has, as far as the index knows.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement, sea_query::ExprTrait as _,
};

use super::{
    Connection, StoreError, codes,
    entity::item::{Column, Entity},
    items::{self, BATCH, Row},
};
use crate::domain::source::SourceKey;

/// How many files the destination has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Totals {
    /// Files.
    pub files: i64,
    /// Bytes of those, as far as they are known.
    pub bytes: i64,
}

/// Counts the files that the destination has. Costs as much as there is.
///
/// # Errors
/// When the database fails.
pub async fn totals(conn: &impl Connection, source: SourceKey) -> Result<Totals, StoreError> {
    let sql = format!(
        "SELECT CAST(COUNT(*) AS BIGINT) AS files, CAST(COALESCE(SUM(applied_size), 0) AS BIGINT) AS bytes \
         FROM items WHERE source_key = $1 AND applied_kind = {}",
        codes::FILE
    );
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [source.0.into()]);
    Ok(Totals::find_by_statement(statement).one(conn).await?.unwrap_or_default())
}

/// One page of what lies in these folders at the destination, behind the place's name and the id given, in that order.
///
/// # Errors
/// When the database fails.
pub async fn lying_in(
    conn: &impl Connection,
    source: SourceKey,
    folders: &[String],
    folders_only: bool,
    (name, id): (&str, &str),
) -> Result<Vec<Row>, StoreError> {
    let (place, item) = (Column::AppliedPlaceName, Column::ItemId);
    let mut query = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::AppliedParentId.is_in(folders.iter().map(String::as_str)))
        .filter(place.gte(name))
        .filter(place.gt(name).or(place.eq(name).and(item.gt(id))))
        .order_by_asc(place)
        .order_by_asc(item)
        .limit(u64::try_from(BATCH).unwrap_or(u64::MAX));
    if folders_only {
        query = query.filter(Column::AppliedKind.eq(codes::FOLDER));
    }
    query.all(conn).await?.into_iter().map(items::read).collect()
}
