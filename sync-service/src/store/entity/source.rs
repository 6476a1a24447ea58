//! `sources`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sources")]
#[expect(clippy::struct_excessive_bools, reason = "a row as the database has it: each is a column by itself")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key)]
    pub(in crate::store) source_key: i64,
    pub(in crate::store) tenant_id: String,
    pub(in crate::store) source_id: String,
    pub(in crate::store) display_name: String,
    pub(in crate::store) connection: String,
    pub(in crate::store) drive: String,
    pub(in crate::store) destination_kind: i16,
    pub(in crate::store) destination_path: String,
    pub(in crate::store) destination_filled: bool,
    /// Whether the destination takes several spellings for one name.
    pub(in crate::store) folds_names: bool,
    pub(in crate::store) interval_ms: i64,
    pub(in crate::store) suspended: bool,
    pub(in crate::store) state: i16,
    pub(in crate::store) cursor_state: i16,
    pub(in crate::store) cursor: String,
    pub(in crate::store) generation: i64,
    pub(in crate::store) enumerating: bool,
    pub(in crate::store) listing: i16,
    pub(in crate::store) full_interval_ms: Option<i64>,
    pub(in crate::store) full_time: i64,
    /// JSON; empty for none.
    pub(in crate::store) filter: String,
    pub(in crate::store) filter_changed: bool,
    pub(in crate::store) feed_failures: i32,
    /// Whether it sleeps until its connection is repaired.
    pub(in crate::store) asleep: bool,
    pub(in crate::store) next_run_time: i64,
    pub(in crate::store) failures: i32,
    pub(in crate::store) approved_deletions: i64,
    pub(in crate::store) lease_worker: String,
    pub(in crate::store) lease_epoch: i64,
    pub(in crate::store) lease_expire_time: Option<i64>,
    pub(in crate::store) open_run_key: Option<i64>,
    /// A run that only looks and waits for a worker.
    pub(in crate::store) waiting_run_key: Option<i64>,
    pub(in crate::store) latest_run_id: Option<String>,
    pub(in crate::store) create_time: i64,
    pub(in crate::store) update_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
