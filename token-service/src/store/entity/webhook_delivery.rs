//! Table `webhook_deliveries`.

use sea_orm::entity::prelude::*;

/// One state change that one endpoint is still to be told of, or that was given up.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub connection_name: String,
    pub attempts: i64,
    pub next_attempt_time: i64,
    pub last_failure: String,
    pub give_up_time: Option<i64>,
}

/// None: rows are joined by sequence where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
