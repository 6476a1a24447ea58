//! Reading and writing sources.

use std::time::Duration;

use graph_client::DrivePath;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
    sea_query::{Expr, ExprTrait as _, LockType},
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    Connection, StoreError, codes,
    entity::source::{ActiveModel, Column, Entity, Model},
};
use crate::domain::{
    cursor::Cursor,
    filter::Filter,
    listing::ListingCause,
    names::{ConnectionName, SourceName},
    source::{Destination, Health, Lease, NewSource, RunKey, Source, SourceKey},
};

/// Which sources a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct SourceFilter {
    /// Only this tenant's.
    pub tenant: Option<ResourceId>,
    /// Only suspended ones, or only others.
    pub suspended: Option<bool>,
    /// Only those whose last run ended like this.
    pub health: Option<Health>,
    /// Only those that a worker holds at this time (`true`), or that none does.
    pub leased: Option<(bool, Timestamp)>,
}

/// Inserts a source whose first run is due at `now`. `None` when the name is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl Connection,
    spec: &NewSource,
    now: Timestamp,
) -> Result<Option<Source>, StoreError> {
    let Destination::LocalFolder(path) = &spec.destination;
    let row = ActiveModel {
        source_key: NotSet,
        tenant_id: Set(spec.name.tenant().to_string()),
        source_id: Set(spec.name.source().to_string()),
        display_name: Set(spec.display_name.clone()),
        connection: Set(spec.connection.to_string()),
        drive: Set(spec.drive.to_string()),
        destination_kind: Set(codes::LOCAL_FOLDER),
        destination_path: Set(path.to_string_lossy().into_owned()),
        destination_filled: Set(false),
        folds_names: Set(false),
        interval_ms: Set(millis(spec.interval)),
        suspended: Set(spec.suspended),
        state: Set(codes::health_code(Health::Good)),
        cursor_state: Set(codes::CURSOR_START),
        cursor: Set(String::new()),
        generation: Set(1),
        enumerating: Set(true),
        listing: Set(codes::listing_code(ListingCause::First)),
        full_interval_ms: Set(spec.full_interval.map(millis)),
        full_time: Set(now.as_millis()),
        filter: Set(write_filter(&spec.filter)?),
        filter_changed: Set(false),
        feed_failures: Set(0),
        asleep: Set(false),
        next_run_time: Set(now.as_millis()),
        failures: Set(0),
        approved_deletions: Set(0),
        lease_worker: Set(String::new()),
        lease_epoch: Set(0),
        lease_expire_time: Set(None),
        open_run_key: Set(None),
        waiting_run_key: Set(None),
        latest_run_id: Set(None),
        create_time: Set(now.as_millis()),
        update_time: Set(now.as_millis()),
    };
    match Entity::insert(row).exec_with_returning(conn).await {
        Ok(row) => read(row).map(Some),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the source of a name.
///
/// # Errors
/// When the database fails.
pub async fn by_name(conn: &impl Connection, name: &SourceName) -> Result<Option<Source>, StoreError> {
    find(name).one(conn).await?.map(read).transpose()
}

/// Reads the source of a name and keeps others from changing it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_by_name(conn: &impl Connection, name: &SourceName) -> Result<Option<Source>, StoreError> {
    find(name).lock(LockType::Update).one(conn).await?.map(read).transpose()
}

/// Reads the sources of these keys.
///
/// # Errors
/// When the database fails.
pub async fn by_keys(conn: &impl Connection, keys: &[SourceKey]) -> Result<Vec<Source>, StoreError> {
    let rows = Entity::find().filter(Column::SourceKey.is_in(keys.iter().map(|key| key.0))).all(conn).await?;
    rows.into_iter().map(read).collect()
}

/// Lists sources by name, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl Connection,
    filter: &SourceFilter,
    after: Option<&(String, String)>,
    limit: u64,
) -> Result<Vec<Source>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::TenantId).order_by_asc(Column::SourceId).limit(limit);
    if let Some(tenant) = &filter.tenant {
        query = query.filter(Column::TenantId.eq(tenant.as_str()));
    }
    if let Some(suspended) = filter.suspended {
        query = query.filter(Column::Suspended.eq(suspended));
    }
    if let Some(health) = filter.health {
        query = query.filter(Column::State.eq(codes::health_code(health)));
    }
    if let Some((leased, now)) = filter.leased {
        let held =
            Expr::col(Column::LeaseExpireTime).is_not_null().and(Column::LeaseExpireTime.gt(now.as_millis()));
        query = query.filter(if leased { held } else { held.not() });
    }
    if let Some((tenant, source)) = after {
        let later = Column::TenantId
            .gt(tenant.as_str())
            .or(Column::TenantId.eq(tenant.as_str()).and(Column::SourceId.gt(source.as_str())));
        query = query.filter(later);
    }
    query.all(conn).await?.into_iter().map(read).collect()
}

/// Writes everything of a source that can change. The caller holds the row's lock.
///
/// # Errors
/// When the database fails, or the row is gone.
pub async fn update(conn: &impl Connection, source: &Source, now: Timestamp) -> Result<(), StoreError> {
    let (cursor_state, cursor) = match &source.cursor {
        Cursor::Start => (codes::CURSOR_START, ""),
        Cursor::Page(link) => (codes::CURSOR_PAGE, link.as_str()),
        Cursor::CaughtUp(link) => (codes::CURSOR_CAUGHT_UP, link.as_str()),
    };
    let row = ActiveModel {
        source_key: Set(source.key.0),
        tenant_id: NotSet,
        source_id: NotSet,
        display_name: Set(source.spec.display_name.clone()),
        connection: NotSet,
        drive: NotSet,
        destination_kind: NotSet,
        destination_path: NotSet,
        destination_filled: Set(source.destination_filled),
        folds_names: Set(source.folds_names),
        interval_ms: Set(millis(source.spec.interval)),
        suspended: Set(source.spec.suspended),
        state: Set(codes::health_code(source.health)),
        cursor_state: Set(cursor_state),
        cursor: Set(cursor.to_owned()),
        generation: Set(source.generation),
        enumerating: Set(source.enumerating),
        listing: Set(codes::listing_code(source.listing)),
        full_interval_ms: Set(source.spec.full_interval.map(millis)),
        full_time: Set(source.full_time.as_millis()),
        filter: Set(write_filter(&source.spec.filter)?),
        filter_changed: Set(source.filter_changed),
        feed_failures: Set(i32::try_from(source.feed_failures).unwrap_or(i32::MAX)),
        asleep: Set(source.asleep),
        next_run_time: Set(source.next_run_time.as_millis()),
        failures: Set(i32::try_from(source.failures).unwrap_or(i32::MAX)),
        approved_deletions: Set(source.approved_deletions),
        lease_worker: Set(source.lease.worker.clone()),
        lease_epoch: Set(source.lease.epoch),
        lease_expire_time: Set(source.lease.expire_time.map(Timestamp::as_millis)),
        open_run_key: Set(source.open_run.map(|key| key.0)),
        waiting_run_key: Set(source.waiting_run.map(|key| key.0)),
        latest_run_id: Set(source.latest_run.as_ref().map(ToString::to_string)),
        create_time: NotSet,
        update_time: Set(now.as_millis()),
    };
    let changed = Entity::update_many()
        .set(row)
        .filter(Column::SourceKey.eq(source.key.0))
        .exec(conn)
        .await?
        .rows_affected;
    if changed == 1 { Ok(()) } else { Err(codes::impossible("sources", "rows changed by key", changed)) }
}

/// Deletes a source with its runs and its index. Whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &impl Connection, name: &SourceName) -> Result<bool, StoreError> {
    let deleted = Entity::delete_many()
        .filter(Column::TenantId.eq(name.tenant().as_str()))
        .filter(Column::SourceId.eq(name.source().as_str()))
        .exec(conn)
        .await?
        .rows_affected;
    Ok(deleted > 0)
}

fn find(name: &SourceName) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(name.tenant().as_str()))
        .filter(Column::SourceId.eq(name.source().as_str()))
}

fn write_filter(filter: &Filter) -> Result<String, StoreError> {
    if filter.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(filter).map_err(|error| codes::impossible("sources", "filter", error))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn read(row: Model) -> Result<Source, StoreError> {
    fn odd<T>(column: &str, value: &str) -> Result<T, StoreError> {
        Err(codes::impossible("sources", column, value))
    }
    let tenant = ResourceId::parse(&row.tenant_id).or_else(|_| odd("tenant_id", &row.tenant_id))?;
    let source = ResourceId::parse(&row.source_id).or_else(|_| odd("source_id", &row.source_id))?;
    let connection =
        ConnectionName::parse(&row.connection).or_else(|_| odd("connection", &row.connection))?;
    let drive = DrivePath::parse(&row.drive).or_else(|_| odd("drive", &row.drive))?;
    let destination = match row.destination_kind {
        codes::LOCAL_FOLDER => Destination::LocalFolder(row.destination_path.into()),
        other => return Err(codes::impossible("sources", "destination_kind", other)),
    };
    let cursor = match row.cursor_state {
        codes::CURSOR_START => Cursor::Start,
        codes::CURSOR_PAGE => Cursor::Page(row.cursor),
        codes::CURSOR_CAUGHT_UP => Cursor::CaughtUp(row.cursor),
        other => return Err(codes::impossible("sources", "cursor_state", other)),
    };
    let filter = match row.filter.as_str() {
        "" => Filter::default(),
        text => serde_json::from_str(text).or_else(|_| odd("filter", text))?,
    };
    let latest_run = row
        .latest_run_id
        .map(|id| ResourceId::parse(&id).or_else(|_| odd("latest_run_id", &id)))
        .transpose()?;
    Ok(Source {
        key: SourceKey(row.source_key),
        spec: NewSource {
            name: SourceName::new(tenant, source),
            display_name: row.display_name,
            connection,
            drive,
            destination,
            interval: Duration::from_millis(u64::try_from(row.interval_ms).unwrap_or_default()),
            full_interval: row
                .full_interval_ms
                .map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or_default())),
            filter,
            suspended: row.suspended,
        },
        health: codes::health(row.state)?,
        cursor,
        generation: row.generation,
        enumerating: row.enumerating,
        listing: codes::listing("sources", row.listing)?,
        full_time: Timestamp::from_millis(row.full_time),
        filter_changed: row.filter_changed,
        feed_failures: u32::try_from(row.feed_failures).unwrap_or_default(),
        destination_filled: row.destination_filled,
        folds_names: row.folds_names,
        asleep: row.asleep,
        next_run_time: Timestamp::from_millis(row.next_run_time),
        failures: u32::try_from(row.failures).unwrap_or_default(),
        approved_deletions: row.approved_deletions,
        lease: Lease {
            worker: row.lease_worker,
            epoch: row.lease_epoch,
            expire_time: row.lease_expire_time.map(Timestamp::from_millis),
        },
        open_run: row.open_run_key.map(RunKey),
        waiting_run: row.waiting_run_key.map(RunKey),
        latest_run,
        create_time: Timestamp::from_millis(row.create_time),
    })
}
