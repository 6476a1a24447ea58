//! Whether an item is mirrored, beside what it is: what lies below something opaque keeps its own kind, so that it can come out.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Items {
    Table,
    Scope,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let scope = ColumnDef::new(Items::Scope).small_integer().not_null().default(0_i16).take();
        manager.alter_table(Table::alter().table(Items::Table).add_column(scope).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(Items::Table).drop_column(Items::Scope).take()).await
    }
}
