//! Table `sign_in_claims`.

use sea_orm::entity::prelude::*;

/// What the next sign-in of one connection must answer.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_claims")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_name: String,
    pub claims: String,
}

/// None: rows are joined by name where they must be.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
