//! One sealed known text per key of the keyring.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum KeyringCanary {
    Table,
    KeyId,
    Sealed,
    CreateTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(KeyringCanary::Table)
                    .col(ColumnDef::new(KeyringCanary::KeyId).text().not_null().primary_key())
                    .col(ColumnDef::new(KeyringCanary::Sealed).blob().not_null())
                    .col(ColumnDef::new(KeyringCanary::CreateTime).big_integer().not_null())
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(KeyringCanary::Table).to_owned()).await
    }
}
