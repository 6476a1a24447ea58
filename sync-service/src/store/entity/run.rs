//! `runs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key)]
    pub(in crate::store) run_key: i64,
    pub(in crate::store) source_key: i64,
    pub(in crate::store) run_id: String,
    pub(in crate::store) kind: i16,
    pub(in crate::store) state: i16,
    pub(in crate::store) phase: i16,
    pub(in crate::store) reason: String,
    pub(in crate::store) detail: String,
    pub(in crate::store) cancel_requested: bool,
    pub(in crate::store) listing_complete: bool,
    pub(in crate::store) listing: i16,
    pub(in crate::store) pages: i64,
    pub(in crate::store) items_listed: i64,
    pub(in crate::store) folders_made: i64,
    pub(in crate::store) items_moved: i64,
    pub(in crate::store) files_transferred: i64,
    pub(in crate::store) bytes_transferred: i64,
    pub(in crate::store) items_deleted: i64,
    pub(in crate::store) items_failed: i64,
    pub(in crate::store) files_planned: i64,
    pub(in crate::store) bytes_planned: i64,
    pub(in crate::store) deletions_held: i64,
    pub(in crate::store) local_kept: i64,
    pub(in crate::store) graph_requests: i64,
    pub(in crate::store) graph_requests_before: i64,
    pub(in crate::store) bytes_received: i64,
    pub(in crate::store) bytes_received_before: i64,
    pub(in crate::store) create_time: i64,
    pub(in crate::store) end_time: Option<i64>,
    /// JSON; `None` of a run that finds nothing.
    pub(in crate::store) finding_counts: Option<String>,
    /// JSON; `None` before the first report.
    pub(in crate::store) activity: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
