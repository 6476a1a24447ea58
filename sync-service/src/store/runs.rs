//! Reading and writing runs.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::SelectStatement,
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    Connection, StoreError, codes,
    entity::{
        run::{ActiveModel, Column, Entity, Model},
        source,
    },
};
use crate::domain::{
    finding::FindingCounts,
    listing::ListingCause,
    outcome::Done,
    run::{Counts, Effort, Run, RunKind, RunPhase, RunState},
    source::{RunKey, SourceKey},
};

/// Which runs a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only those of this tenant's sources.
    pub tenant: Option<ResourceId>,
    /// Only those of sources with this id.
    pub source: Option<ResourceId>,
    /// Only those in this state.
    pub state: Option<RunState>,
}

/// Inserts a run that starts, or begins to wait, now.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &impl Connection,
    source: SourceKey,
    id: &ResourceId,
    (kind, phase): (RunKind, RunPhase),
    listing: ListingCause,
    now: Timestamp,
) -> Result<Run, StoreError> {
    let row = ActiveModel {
        run_key: NotSet,
        source_key: Set(source.0),
        run_id: Set(id.to_string()),
        state: Set(codes::run_state_code(RunState::Running)),
        kind: Set(codes::run_kind_code(kind)),
        phase: Set(codes::run_phase_code(phase)),
        reason: Set(String::new()),
        detail: Set(String::new()),
        listing: Set(codes::listing_code(listing)),
        create_time: Set(now.as_millis()),
        end_time: Set(None),
        ..Default::default()
    };
    let row = Entity::insert(row).exec_with_returning(conn).await?;
    read(row)
}

/// Reads a run by key.
///
/// # Errors
/// When the database fails.
pub async fn by_key(conn: &impl Connection, key: RunKey) -> Result<Option<Run>, StoreError> {
    Entity::find_by_id(key.0).one(conn).await?.map(read).transpose()
}

/// Reads a source's run by id.
///
/// # Errors
/// When the database fails.
pub async fn by_id(
    conn: &impl Connection,
    source: SourceKey,
    id: &ResourceId,
) -> Result<Option<Run>, StoreError> {
    Entity::find()
        .filter(Column::SourceKey.eq(source.0))
        .filter(Column::RunId.eq(id.as_str()))
        .one(conn)
        .await?
        .map(read)
        .transpose()
}

/// Lists runs, newest first, before the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &impl Connection,
    filter: &RunFilter,
    before: Option<RunKey>,
    limit: u64,
) -> Result<Vec<Run>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::RunKey).limit(limit);
    if filter.tenant.is_some() || filter.source.is_some() {
        query = query.filter(Column::SourceKey.in_subquery(sources_of(filter)));
    }
    if let Some(state) = filter.state {
        query = query.filter(Column::State.eq(codes::run_state_code(state)));
    }
    if let Some(before) = before {
        query = query.filter(Column::RunKey.lt(before.0));
    }
    query.all(conn).await?.into_iter().map(read).collect()
}

fn sources_of(filter: &RunFilter) -> SelectStatement {
    let mut sources = source::Entity::find().select_only().column(source::Column::SourceKey);
    if let Some(tenant) = &filter.tenant {
        sources = sources.filter(source::Column::TenantId.eq(tenant.as_str()));
    }
    if let Some(id) = &filter.source {
        sources = sources.filter(source::Column::SourceId.eq(id.as_str()));
    }
    sources.into_query()
}

/// Writes everything of a run that can change. The caller holds the lock of the run's source.
///
/// # Errors
/// When the database fails, or the row is gone.
pub async fn update(conn: &impl Connection, run: &Run) -> Result<(), StoreError> {
    let counts = &run.counts;
    let row = ActiveModel {
        state: Set(codes::run_state_code(run.state)),
        phase: Set(codes::run_phase_code(run.phase)),
        reason: Set(run.reason.clone()),
        detail: Set(run.detail.clone()),
        cancel_requested: Set(run.cancel_requested),
        listing_complete: Set(run.listing_complete),
        listing: Set(codes::listing_code(run.listing)),
        pages: Set(counts.pages),
        items_listed: Set(counts.items_listed),
        folders_made: Set(counts.done.folders_made),
        items_moved: Set(counts.done.items_moved),
        files_transferred: Set(counts.done.files_transferred),
        bytes_transferred: Set(counts.done.bytes_transferred),
        items_deleted: Set(counts.done.items_deleted),
        items_failed: Set(counts.items_failed),
        files_planned: Set(counts.files_planned),
        bytes_planned: Set(counts.bytes_planned),
        deletions_held: Set(counts.deletions_held),
        local_kept: Set(counts.local_kept),
        graph_requests: Set(counts.effort.graph_requests),
        graph_requests_before: Set(counts.effort_before.graph_requests),
        bytes_received: Set(counts.effort.bytes_received),
        bytes_received_before: Set(counts.effort_before.bytes_received),
        end_time: Set(run.end_time.map(Timestamp::as_millis)),
        activity: Set(serde_json::to_string(&run.activity).ok()),
        finding_counts: Set(write_findings(run)?),
        ..Default::default()
    };
    let changed =
        Entity::update_many().set(row).filter(Column::RunKey.eq(run.key.0)).exec(conn).await?.rows_affected;
    if changed == 1 { Ok(()) } else { Err(codes::impossible("runs", "rows changed by key", changed)) }
}

/// Deletes a source's oldest runs, so that `keep` stay.
///
/// # Errors
/// When the database fails.
pub async fn prune(conn: &impl Connection, source: SourceKey, keep: u64) -> Result<(), StoreError> {
    let oldest_kept: Option<i64> = Entity::find()
        .select_only()
        .column(Column::RunKey)
        .filter(Column::SourceKey.eq(source.0))
        .order_by_desc(Column::RunKey)
        .offset(keep)
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    if let Some(key) = oldest_kept {
        Entity::delete_many()
            .filter(Column::SourceKey.eq(source.0))
            .filter(Column::RunKey.lte(key))
            .exec(conn)
            .await?;
    }
    Ok(())
}

fn write_findings(run: &Run) -> Result<Option<String>, StoreError> {
    if run.findings == FindingCounts::default() {
        return Ok(None);
    }
    let text = serde_json::to_string(&run.findings);
    text.map(Some).map_err(|error| codes::impossible("runs", "finding_counts", error))
}

fn read_findings(text: Option<&str>) -> Result<FindingCounts, StoreError> {
    let Some(text) = text else { return Ok(FindingCounts::default()) };
    serde_json::from_str(text).map_err(|error| codes::impossible("runs", "finding_counts", error))
}

fn read(row: Model) -> Result<Run, StoreError> {
    let id = ResourceId::parse(&row.run_id).or(Err(codes::impossible("runs", "run_id", &row.run_id)))?;
    Ok(Run {
        key: RunKey(row.run_key),
        source: SourceKey(row.source_key),
        id,
        kind: codes::run_kind(row.kind)?,
        state: codes::run_state(row.state)?,
        phase: codes::run_phase(row.phase)?,
        reason: row.reason,
        detail: row.detail,
        cancel_requested: row.cancel_requested,
        listing_complete: row.listing_complete,
        listing: codes::listing("runs", row.listing)?,
        counts: Counts {
            pages: row.pages,
            items_listed: row.items_listed,
            done: Done {
                folders_made: row.folders_made,
                items_moved: row.items_moved,
                files_transferred: row.files_transferred,
                bytes_transferred: row.bytes_transferred,
                items_deleted: row.items_deleted,
            },
            items_failed: row.items_failed,
            files_planned: row.files_planned,
            bytes_planned: row.bytes_planned,
            deletions_held: row.deletions_held,
            local_kept: row.local_kept,
            effort: Effort { graph_requests: row.graph_requests, bytes_received: row.bytes_received },
            effort_before: Effort {
                graph_requests: row.graph_requests_before,
                bytes_received: row.bytes_received_before,
            },
        },
        findings: read_findings(row.finding_counts.as_deref())?,
        // Of another version: it is for people only.
        activity: row.activity.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        create_time: Timestamp::from_millis(row.create_time),
        end_time: row.end_time.map(Timestamp::from_millis),
    })
}
