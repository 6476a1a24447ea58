//! Table `webhook_endpoints`.

use sea_orm::entity::prelude::*;

/// How far one endpoint has been told, and which replica tells it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_endpoints")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub position: i64,
    pub owner: String,
    pub expire_time: i64,
}

/// None: rows are joined by id where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
