//! `items`: one row per item of a drive, desired beside applied.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "items")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::store) source_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::store) item_id: String,
    pub(in crate::store) parent_id: Option<String>,
    pub(in crate::store) name: Option<String>,
    pub(in crate::store) local_name: Option<String>,
    /// What places are compared by.
    pub(in crate::store) place_name: Option<String>,
    /// `None` when the item is gone from the drive.
    pub(in crate::store) kind: Option<i16>,
    pub(in crate::store) scope: i16,
    pub(in crate::store) size: i64,
    pub(in crate::store) version: String,
    pub(in crate::store) hash: Option<String>,
    pub(in crate::store) e_tag: String,
    pub(in crate::store) modified_time: Option<i64>,
    pub(in crate::store) applied_parent_id: Option<String>,
    pub(in crate::store) applied_name: Option<String>,
    pub(in crate::store) applied_place_name: Option<String>,
    /// `None` when the destination has nothing of it.
    pub(in crate::store) applied_kind: Option<i16>,
    pub(in crate::store) applied_version: String,
    pub(in crate::store) applied_modified_time: Option<i64>,
    /// With the two below: the file as it was put there.
    pub(in crate::store) applied_size: Option<i64>,
    pub(in crate::store) applied_hash: Option<String>,
    pub(in crate::store) applied_file_time: Option<i64>,
    pub(in crate::store) generation: i64,
    pub(in crate::store) work: i16,
    pub(in crate::store) failed_run_key: Option<i64>,
    pub(in crate::store) failure_reason: Option<String>,
    pub(in crate::store) failure_detail: Option<String>,
    /// Failed attempts in a row.
    pub(in crate::store) attempts: i32,
    /// Runs that start earlier do not try the item.
    pub(in crate::store) next_attempt_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
