//! `run_findings`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "run_findings")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::store) run_key: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(in crate::store) number: i64,
    pub(in crate::store) kind: i16,
    pub(in crate::store) path: String,
    pub(in crate::store) from_path: String,
    pub(in crate::store) size: i64,
    pub(in crate::store) reason: String,
    pub(in crate::store) detail: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
