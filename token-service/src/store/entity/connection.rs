//! Table `connections`.

use sea_orm::entity::prelude::*;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connections")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub tenant: String,
    pub uid: String,
    pub display_name: String,
    pub provider: String,
    pub client_id: String,
    pub scopes: String,
    pub account_directory_id: Option<String>,
    pub account_object_id: Option<String>,
    pub account_username: Option<String>,
    pub state: String,
    pub state_cause: String,
    pub state_time: i64,
    pub create_time: i64,
    pub refresh_time: Option<i64>,
    pub generation: i64,
    pub data_key: Vec<u8>,
    pub data_key_version: i64,
    pub refresh_token: Vec<u8>,
    pub refresh_token_generation: i64,
}

/// None: rows are joined by name where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
