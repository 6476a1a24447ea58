//! Table `refresh_leases`.

use sea_orm::entity::prelude::*;

/// Who may ask the provider about one connection, and what became of it last.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_leases")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_name: String,
    pub owner: String,
    pub epoch: i64,
    pub expire_time: i64,
    pub losses: i64,
    pub loss_time: i64,
    pub retry_time: i64,
    pub retry_reason: String,
    pub retry_cause: String,
}

/// None: rows are joined by name where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
