//! What replicas tell each other about the provider's throttles, and who imports what.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum DirectoryFences {
    Table,
    ClientId,
    DirectoryId,
    RetryTime,
    Cause,
}

#[derive(DeriveIden)]
enum ImportLeases {
    Table,
    Subject,
    Owner,
    ExpireTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(DirectoryFences::Table)
                    .col(ColumnDef::new(DirectoryFences::ClientId).text().not_null())
                    .col(ColumnDef::new(DirectoryFences::DirectoryId).text().not_null())
                    .col(ColumnDef::new(DirectoryFences::RetryTime).big_integer().not_null())
                    .col(ColumnDef::new(DirectoryFences::Cause).text().not_null())
                    .primary_key(
                        Index::create().col(DirectoryFences::ClientId).col(DirectoryFences::DirectoryId),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ImportLeases::Table)
                    .col(ColumnDef::new(ImportLeases::Subject).text().not_null().primary_key())
                    .col(ColumnDef::new(ImportLeases::Owner).text().not_null())
                    .col(ColumnDef::new(ImportLeases::ExpireTime).big_integer().not_null())
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ImportLeases::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(DirectoryFences::Table).to_owned()).await
    }
}
