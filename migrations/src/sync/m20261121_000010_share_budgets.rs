//! How much of the provider's resource units there is, and whose runs share it.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Throttles {
    Table,
    UnitsPerMinute,
}

#[derive(DeriveIden)]
enum Sources {
    Table,
    Budget,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let units = ColumnDef::new(Throttles::UnitsPerMinute).big_integer().null().take();
        manager.alter_table(Table::alter().table(Throttles::Table).add_column(units).take()).await?;
        let budget = ColumnDef::new(Sources::Budget).text().not_null().default("").take();
        manager.alter_table(Table::alter().table(Sources::Table).add_column(budget).take()).await?;
        let index =
            Index::create().name("sources_by_budget").table(Sources::Table).col(Sources::Budget).take();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("sources_by_budget").table(Sources::Table).to_owned()).await?;
        manager.alter_table(Table::alter().table(Sources::Table).drop_column(Sources::Budget).take()).await?;
        manager
            .alter_table(Table::alter().table(Throttles::Table).drop_column(Throttles::UnitsPerMinute).take())
            .await
    }
}
