//! Webhooks: how far each endpoint has been told of state changes, and what is still to be delivered to it.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum WebhookEndpoints {
    Table,
    Id,
    Position,
    Owner,
    ExpireTime,
}

#[derive(DeriveIden)]
enum WebhookDeliveries {
    Table,
    EndpointId,
    Sequence,
    ConnectionName,
    Attempts,
    NextAttemptTime,
    LastFailure,
    GiveUpTime,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(endpoints()).await?;
        manager.create_table(deliveries()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(WebhookDeliveries::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(WebhookEndpoints::Table).to_owned()).await
    }
}

fn endpoints() -> TableCreateStatement {
    Table::create()
        .table(WebhookEndpoints::Table)
        .col(ColumnDef::new(WebhookEndpoints::Id).text().not_null().primary_key())
        .col(ColumnDef::new(WebhookEndpoints::Position).big_integer().not_null())
        .col(ColumnDef::new(WebhookEndpoints::Owner).text().not_null())
        .col(ColumnDef::new(WebhookEndpoints::ExpireTime).big_integer().not_null())
        .to_owned()
}

fn deliveries() -> TableCreateStatement {
    Table::create()
        .table(WebhookDeliveries::Table)
        .col(ColumnDef::new(WebhookDeliveries::EndpointId).text().not_null())
        .col(ColumnDef::new(WebhookDeliveries::Sequence).big_integer().not_null())
        .col(ColumnDef::new(WebhookDeliveries::ConnectionName).text().not_null())
        .col(ColumnDef::new(WebhookDeliveries::Attempts).big_integer().not_null())
        .col(ColumnDef::new(WebhookDeliveries::NextAttemptTime).big_integer().not_null())
        .col(ColumnDef::new(WebhookDeliveries::LastFailure).text().not_null())
        .col(ColumnDef::new(WebhookDeliveries::GiveUpTime).big_integer().null())
        .primary_key(Index::create().col(WebhookDeliveries::EndpointId).col(WebhookDeliveries::Sequence))
        .foreign_key(
            ForeignKey::create()
                .from(WebhookDeliveries::Table, WebhookDeliveries::EndpointId)
                .to(WebhookEndpoints::Table, WebhookEndpoints::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}
