//! Table `authorizations`.

use sea_orm::entity::prelude::*;

/// One authorization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorizations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub connection_name: String,
    pub display_name: String,
    pub scopes: String,
    pub state: String,
    pub failure_cause: String,
    pub create_time: i64,
    pub expire_time: i64,
    pub end_time: Option<i64>,
    pub next_poll_time: i64,
    pub poll_interval_millis: i64,
    pub generation: i64,
    pub data_key: Option<Vec<u8>>,
    pub device_code: Option<Vec<u8>>,
    pub user_code: Option<Vec<u8>>,
}

/// None: rows are joined by name where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
