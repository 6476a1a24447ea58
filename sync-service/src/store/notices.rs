//! Notices of runs.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::OnConflict,
};

use super::{
    Connection, StoreError,
    entity::notice::{ActiveModel, Column, Entity},
};
use crate::domain::{run::Notice, source::RunKey};

/// Notices that are kept of one run; further ones are counted only.
pub const MAX_NOTICES: i64 = 1000;

/// Notes something that a run came upon. Whether it was not noted before.
///
/// # Errors
/// When the database fails.
pub async fn insert(conn: &impl Connection, run: RunKey, notice: &Notice) -> Result<bool, StoreError> {
    let row = ActiveModel {
        notice_key: NotSet,
        run_key: Set(run.0),
        reason: Set(notice.reason.clone()),
        path: Set(notice.path.clone()),
        detail: Set(notice.detail.clone()),
    };
    let known = OnConflict::columns([Column::RunKey, Column::Path, Column::Reason]).do_nothing().to_owned();
    Ok(Entity::insert(row).on_conflict(known).exec_without_returning(conn).await? > 0)
}

/// The first notices of a run.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &impl Connection, run: RunKey, limit: u64) -> Result<Vec<Notice>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RunKey.eq(run.0))
        .order_by_asc(Column::NoticeKey)
        .limit(limit)
        .all(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Notice { reason: row.reason, path: row.path, detail: row.detail })
        .collect())
}
