//! What of a drive a source mirrors.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Sources {
    Table,
    Filter,
    FilterChanged,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let filter = ColumnDef::new(Sources::Filter).text().not_null().default("").take();
        manager.alter_table(Table::alter().table(Sources::Table).add_column(filter).take()).await?;
        let changed = ColumnDef::new(Sources::FilterChanged).boolean().not_null().default(false).take();
        manager.alter_table(Table::alter().table(Sources::Table).add_column(changed).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [Sources::FilterChanged, Sources::Filter] {
            manager.alter_table(Table::alter().table(Sources::Table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}
