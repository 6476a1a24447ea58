//! What runs found that only look.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};

use super::{
    Connection, StoreError, codes,
    entity::{
        finding::{ActiveModel, Column, Entity},
        run,
    },
};
use crate::domain::{
    finding::Finding,
    source::{RunKey, SourceKey},
};

/// Findings that are kept of one run; further ones are counted only.
pub const MAX_FINDINGS: i64 = 100_000;

/// Stores findings, the first of which has this number; at most [`super::items::BATCH`].
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl Connection,
    run: RunKey,
    first_number: i64,
    findings: &[Finding],
) -> Result<(), StoreError> {
    let rows: Vec<ActiveModel> = (first_number..MAX_FINDINGS)
        .zip(findings)
        .map(|(number, finding)| ActiveModel {
            run_key: Set(run.0),
            number: Set(number),
            kind: Set(codes::finding_code(finding.kind)),
            path: Set(finding.path.clone()),
            from_path: Set(finding.from_path.clone()),
            size: Set(finding.size),
            reason: Set(finding.reason.clone()),
            detail: Set(finding.detail.clone()),
        })
        .collect();
    if !rows.is_empty() {
        Entity::insert_many(rows).exec_without_returning(conn).await?;
    }
    Ok(())
}

/// Findings of a run, from the number given on.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl Connection,
    run: RunKey,
    from: i64,
    limit: u64,
) -> Result<Vec<Finding>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RunKey.eq(run.0))
        .filter(Column::Number.gte(from))
        .order_by_asc(Column::Number)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Finding {
                kind: codes::finding(row.kind)?,
                path: row.path,
                from_path: row.from_path,
                size: row.size,
                reason: row.reason,
                detail: row.detail,
            })
        })
        .collect()
}

/// Forgets what all runs of a source found.
///
/// # Errors
/// When the database fails.
pub async fn clear(conn: &impl Connection, source: SourceKey) -> Result<(), StoreError> {
    let runs = run::Entity::find()
        .select_only()
        .column(run::Column::RunKey)
        .filter(run::Column::SourceKey.eq(source.0))
        .into_query();
    Entity::delete_many().filter(Column::RunKey.in_subquery(runs)).exec(conn).await?;
    Ok(())
}
