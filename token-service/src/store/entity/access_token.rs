//! Table `access_tokens`: the shared access token of a connection and a set of scopes.

use sea_orm::entity::prelude::*;

/// One shared access token.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "access_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_name: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_key: String,
    pub token_type: String,
    pub granted_scopes: String,
    pub obtain_time: i64,
    pub expire_time: i64,
    pub refresh_after_time: Option<i64>,
    pub generation: i64,
    pub access_token: Vec<u8>,
}

/// None: rows are joined by name where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
