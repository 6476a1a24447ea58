//! Reading and writing the index of items.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
    sea_query::{ExprTrait as _, OnConflict},
};
use service_kit::clock::Timestamp;

use super::{
    Connection, StoreError, codes,
    entity::item::{ActiveModel, Column, Entity, Model},
};
use crate::domain::{
    baseline::Baseline,
    item::{Applied, Desired, Item, Kind, Work},
    source::{Index, RunKey, SourceKey},
};

/// Most rows that one statement reads or writes by id; keeps statements below the databases' limits on parameters.
pub const BATCH: usize = 500;

/// Most rows that one statement writes. Each connection keeps its statements prepared, and one takes memory by its size: so there are few
/// sizes, the powers of two, and none is large.
const STATEMENT_ROWS: usize = 64;

/// An item with what the index notes beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The item.
    pub item: Item,
    /// The enumeration that saw it last.
    pub generation: i64,
    /// Why it could not be done, if it could not.
    pub failure: Option<Failure>,
}

/// Why an item could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In which run.
    pub run: RunKey,
    /// Machine-readable reason.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
    /// Failed attempts in a row, this one included.
    pub attempts: u32,
    /// Runs that start earlier do not try the item, unless it changes.
    pub next_attempt: Option<Timestamp>,
}

/// Reads items by id, at most [`BATCH`].
///
/// # Errors
/// When the database fails.
pub async fn by_ids(
    conn: &impl Connection,
    source: SourceKey,
    ids: &[&str],
) -> Result<HashMap<String, Row>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::ItemId.is_in(ids.iter().copied()))
        .all(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.item_id.clone(), read(row)?))).collect()
}

/// Writes items, new or not, at most [`BATCH`].
///
/// # Errors
/// When the database fails.
pub async fn upsert(conn: &impl Connection, index: Index, rows: &[Row]) -> Result<(), StoreError> {
    let update = OnConflict::columns([Column::SourceKey, Column::ItemId])
        .update_columns([
            Column::ParentId,
            Column::Name,
            Column::LocalName,
            Column::PlaceName,
            Column::Kind,
            Column::Scope,
            Column::Size,
            Column::Version,
            Column::Hash,
            Column::ETag,
            Column::ModifiedTime,
            Column::AppliedParentId,
            Column::AppliedName,
            Column::AppliedPlaceName,
            Column::AppliedKind,
            Column::AppliedVersion,
            Column::AppliedModifiedTime,
            Column::AppliedSize,
            Column::AppliedHash,
            Column::AppliedFileTime,
            Column::Generation,
            Column::Work,
            Column::FailedRunKey,
            Column::FailureReason,
            Column::FailureDetail,
            Column::Attempts,
            Column::NextAttemptTime,
        ])
        .to_owned();
    let mut rest = rows;
    while let Some(power) = rest.len().checked_ilog2() {
        let (now, later) = rest.split_at(STATEMENT_ROWS.min(1 << power));
        Entity::insert_many(now.iter().map(|row| write(index, row)))
            .on_conflict(update.clone())
            .exec_without_returning(conn)
            .await?;
        rest = later;
    }
    Ok(())
}

/// Removes items from the index, at most [`BATCH`].
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &impl Connection, source: SourceKey, ids: &[&str]) -> Result<(), StoreError> {
    if !ids.is_empty() {
        Entity::delete_many()
            .filter(Column::SourceKey.eq(source.0))
            .filter(Column::ItemId.is_in(ids.iter().copied()))
            .exec(conn)
            .await?;
    }
    Ok(())
}

/// The drive's root; several only where the drive has changed under its name.
///
/// # Errors
/// When the database fails.
pub async fn roots(conn: &impl Connection, source: SourceKey) -> Result<Vec<String>, StoreError> {
    // Only a root has no applied parent, so the index on applied places finds it.
    let rows = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::AppliedParentId.eq(""))
        .filter(Column::Kind.eq(codes::ROOT))
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.item_id).collect())
}

/// One page of the index, behind the id given, by id.
///
/// # Errors
/// When the database fails.
pub async fn page(conn: &impl Connection, source: SourceKey, after: &str) -> Result<Vec<Row>, StoreError> {
    let rows = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::ItemId.gt(after))
        .order_by_asc(Column::ItemId)
        .limit(u64::try_from(BATCH).unwrap_or(u64::MAX))
        .all(conn)
        .await?;
    rows.into_iter().map(read).collect()
}

/// One page of what the drive lists in a folder, behind the place's name and the id given, in that order.
///
/// # Errors
/// When the database fails.
pub async fn children(
    conn: &impl Connection,
    source: SourceKey,
    folder: &str,
    after: (&str, &str),
) -> Result<Vec<Row>, StoreError> {
    let (name, id) = after;
    let behind = Column::PlaceName.gt(name).or(Column::PlaceName.eq(name).and(Column::ItemId.gt(id)));
    let rows = Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::ParentId.eq(folder))
        .filter(Column::PlaceName.gte(name))
        .filter(behind)
        .filter(Column::Kind.is_not_null())
        .order_by_asc(Column::PlaceName)
        .order_by_asc(Column::ItemId)
        .limit(u64::try_from(BATCH).unwrap_or(u64::MAX))
        .all(conn)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Notes that a folder is not at the destination any more, nor anything that lay in it. Nothing for what is no folder there.
///
/// # Errors
/// When the database fails.
pub async fn take_away_folder(conn: &impl Connection, index: Index, folder: &str) -> Result<(), StoreError> {
    let source = index.source;
    let is_folder = |row: &Row| row.item.applied.as_ref().is_some_and(|applied| applied.kind == Kind::Folder);
    let mut level: Vec<Row> =
        by_ids(conn, source, &[folder]).await?.into_values().filter(is_folder).collect();
    while !level.is_empty() {
        let mut below = Vec::new();
        for chunk in level.chunks_mut(BATCH) {
            for row in &mut *chunk {
                row.item.applied = None;
            }
            let (gone, kept): (Vec<Row>, Vec<Row>) =
                chunk.iter().cloned().partition(|row| row.item.work() == Work::Forget);
            upsert(conn, index, &kept).await?;
            let gone: Vec<&str> = gone.iter().map(|row| row.item.id.as_str()).collect();
            delete(conn, source, &gone).await?;
            let lay_inside = Entity::find()
                .filter(Column::SourceKey.eq(source.0))
                .filter(Column::AppliedParentId.is_in(chunk.iter().map(|row| row.item.id.as_str())))
                .all(conn)
                .await?;
            for row in lay_inside {
                below.push(read(row)?);
            }
        }
        level = below;
    }
    Ok(())
}

/// Settles a complete listing: what a fresh enumeration did not see is gone, what lies below something gone is gone, and what is
/// gone on both sides is forgotten. A Personal Vault and what lies in it stay as they are: a locked one looks empty. `unseen_before` is the present generation when the listing was a fresh enumeration.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    conn: &impl Connection,
    source: SourceKey,
    unseen_before: Option<i64>,
) -> Result<(), StoreError> {
    let gone = format!(
        "UPDATE items SET kind = NULL, work = CASE WHEN applied_kind IS NULL THEN {} ELSE {} END \
         WHERE source_key = $1 AND kind IS NOT NULL AND kind NOT IN ({}, {}) AND scope <> {}",
        codes::FORGET,
        codes::DELETE,
        codes::ROOT,
        codes::VAULT,
        codes::IN_VAULT
    );
    let backend = conn.get_database_backend();
    if let Some(generation) = unseen_before {
        let unseen = format!("{gone} AND generation < $2");
        conn.execute_raw(Statement::from_sql_and_values(
            backend,
            unseen,
            [source.0.into(), generation.into()],
        ))
        .await?;
    }
    let below = format!(
        "{gone} AND parent_id IN (SELECT item_id FROM items WHERE source_key = $1 AND work <> {} \
         AND work IN ({}, {}) AND kind IS NULL)",
        codes::NO_WORK,
        codes::DELETE,
        codes::FORGET
    );
    loop {
        let statement = Statement::from_sql_and_values(backend, &below, [source.0.into()]);
        if conn.execute_raw(statement).await?.rows_affected() == 0 {
            break;
        }
    }
    let forget = format!(
        "DELETE FROM items WHERE source_key = $1 AND work <> {} AND work = {}",
        codes::NO_WORK,
        codes::FORGET
    );
    conn.execute_raw(Statement::from_sql_and_values(backend, forget, [source.0.into()])).await?;
    Ok(())
}

/// Counts what the destination has below its root, up to `enough`: no more rows than that are looked at.
///
/// # Errors
/// When the database fails.
pub async fn count_applied(
    conn: &impl Connection,
    source: SourceKey,
    enough: u64,
) -> Result<u64, StoreError> {
    // Only the root has no applied parent: the index on applied places gives everything else.
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS count FROM (SELECT 1 FROM items \
               WHERE source_key = $1 AND applied_parent_id > '' LIMIT $2) AS counted";
    let values = [source.0.into(), i64::try_from(enough).unwrap_or(i64::MAX).into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let row = conn.query_one_raw(statement).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "count"))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

pub(super) fn read(row: Model) -> Result<Row, StoreError> {
    let desired = match row.kind {
        None => None,
        Some(code) => Some(Desired {
            parent_id: row.parent_id.unwrap_or_default(),
            name: row.name.unwrap_or_default(),
            local_name: row.local_name.unwrap_or_default(),
            kind: codes::kind(code)?,
            scope: codes::scope(row.scope)?,
            size: row.size,
            version: row.version,
            hash: row.hash,
            e_tag: row.e_tag,
            modified: row.modified_time.map(Timestamp::from_millis),
        }),
    };
    let applied = match row.applied_kind {
        None => None,
        Some(code) => Some(Applied {
            parent_id: row.applied_parent_id.unwrap_or_default(),
            name: row.applied_name.unwrap_or_default(),
            kind: codes::kind(code)?,
            version: row.applied_version,
            modified: row.applied_modified_time.map(Timestamp::from_millis),
            file: Baseline {
                size: row.applied_size,
                modified: row.applied_file_time.map(Timestamp::from_millis),
                hash: row.applied_hash,
            },
        }),
    };
    let failure = row.failed_run_key.map(|run| Failure {
        run: RunKey(run),
        reason: row.failure_reason.unwrap_or_default(),
        detail: row.failure_detail.unwrap_or_default(),
        attempts: u32::try_from(row.attempts).unwrap_or_default(),
        next_attempt: row.next_attempt_time.map(Timestamp::from_millis),
    });
    Ok(Row { item: Item { id: row.item_id, desired, applied }, generation: row.generation, failure })
}

fn write(index: Index, row: &Row) -> ActiveModel {
    let desired = row.item.desired.as_ref();
    let applied = row.item.applied.as_ref();
    let file = applied.map(|applied| &applied.file);
    let failure = row.failure.as_ref();
    ActiveModel {
        source_key: Set(index.source.0),
        item_id: Set(row.item.id.clone()),
        parent_id: Set(desired.map(|desired| desired.parent_id.clone())),
        name: Set(desired.map(|desired| desired.name.clone())),
        local_name: Set(desired.map(|desired| desired.local_name.clone())),
        place_name: Set(desired.map(|desired| index.place_name(&desired.local_name))),
        kind: Set(desired.map(|desired| codes::kind_code(desired.kind))),
        scope: Set(desired.map_or(codes::MIRRORED, |desired| codes::scope_code(desired.scope))),
        size: Set(desired.map_or(0, |desired| desired.size)),
        version: Set(desired.map(|desired| desired.version.clone()).unwrap_or_default()),
        hash: Set(desired.and_then(|desired| desired.hash.clone())),
        e_tag: Set(desired.map(|desired| desired.e_tag.clone()).unwrap_or_default()),
        modified_time: Set(desired.and_then(|desired| desired.modified).map(Timestamp::as_millis)),
        applied_parent_id: Set(applied.map(|applied| applied.parent_id.clone())),
        applied_name: Set(applied.map(|applied| applied.name.clone())),
        applied_place_name: Set(applied.map(|applied| index.place_name(&applied.name))),
        applied_kind: Set(applied.map(|applied| codes::kind_code(applied.kind))),
        applied_version: Set(applied.map(|applied| applied.version.clone()).unwrap_or_default()),
        applied_modified_time: Set(applied.and_then(|applied| applied.modified).map(Timestamp::as_millis)),
        applied_size: Set(file.and_then(|file| file.size)),
        applied_hash: Set(file.and_then(|file| file.hash.clone())),
        applied_file_time: Set(file.and_then(|file| file.modified).map(Timestamp::as_millis)),
        generation: Set(row.generation),
        work: Set(codes::work_code(row.item.work())),
        failed_run_key: Set(failure.map(|failure| failure.run.0)),
        failure_reason: Set(failure.map(|failure| failure.reason.clone())),
        failure_detail: Set(failure.map(|failure| failure.detail.clone())),
        attempts: Set(failure.map_or(0, |failure| i32::try_from(failure.attempts).unwrap_or(i32::MAX))),
        next_attempt_time: Set(failure.and_then(|failure| failure.next_attempt).map(Timestamp::as_millis)),
    }
}
