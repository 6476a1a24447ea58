//! Items that cannot be fetched are tried again after a growing pause.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Items {
    Table,
    Attempts,
    NextAttemptTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let attempts = ColumnDef::new(Items::Attempts).integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table(Items::Table).add_column(attempts).take()).await?;
        let next = ColumnDef::new(Items::NextAttemptTime).big_integer().null().take();
        manager.alter_table(Table::alter().table(Items::Table).add_column(next).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [Items::NextAttemptTime, Items::Attempts] {
            manager.alter_table(Table::alter().table(Items::Table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}
