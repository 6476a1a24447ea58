//! Table `connection_changes`.

use sea_orm::entity::prelude::*;

/// One change of a connection's state.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection_changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub connection_name: String,
    pub tenant: String,
    pub state: String,
    pub state_cause: String,
    pub state_time: i64,
    pub deleted: bool,
    pub change_time: i64,
}

/// None: a change outlives its connection.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
