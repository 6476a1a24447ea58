//! What replicas share about refreshing: who may ask the provider, what became of it, and which connections changed.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Connections {
    Table,
    Name,
}

#[derive(DeriveIden)]
enum RefreshLeases {
    Table,
    ConnectionName,
    Owner,
    Epoch,
    ExpireTime,
    Losses,
    LossTime,
    RetryTime,
    RetryReason,
    RetryCause,
}

#[derive(DeriveIden)]
enum ConnectionChanges {
    Table,
    Sequence,
    ConnectionName,
    Tenant,
    State,
    StateCause,
    StateTime,
    Deleted,
    ChangeTime,
}

#[derive(DeriveIden)]
enum ConnectionChangeCounter {
    Table,
    Id,
    Latest,
    Pruned,
}

#[derive(DeriveIden)]
enum AccessTokens {
    Table,
    RefreshAfterTime,
}

/// The counter is one row, which every change locks: so sequence numbers become visible in their order.
const FIRST_COUNT: &str = "INSERT INTO connection_change_counter (id, latest, pruned) VALUES (1, 0, 0)";
/// Index for clearing away old changes.
const BY_CHANGE_TIME: &str = "connection_changes_by_change_time";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(refresh_leases()).await?;
        manager.create_table(connection_changes()).await?;
        let by_change_time = Index::create()
            .name(BY_CHANGE_TIME)
            .table(ConnectionChanges::Table)
            .col(ConnectionChanges::ChangeTime)
            .to_owned();
        manager.create_index(by_change_time).await?;
        manager.create_table(connection_change_counter()).await?;
        manager.get_connection().execute_unprepared(FIRST_COUNT).await?;
        let refresh_after = Table::alter()
            .table(AccessTokens::Table)
            .add_column(ColumnDef::new(AccessTokens::RefreshAfterTime).big_integer().null())
            .to_owned();
        manager.alter_table(refresh_after).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let refresh_after =
            Table::alter().table(AccessTokens::Table).drop_column(AccessTokens::RefreshAfterTime).to_owned();
        manager.alter_table(refresh_after).await?;
        manager.drop_table(Table::drop().table(ConnectionChangeCounter::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(ConnectionChanges::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(RefreshLeases::Table).to_owned()).await
    }
}

fn refresh_leases() -> TableCreateStatement {
    Table::create()
        .table(RefreshLeases::Table)
        .col(ColumnDef::new(RefreshLeases::ConnectionName).text().not_null().primary_key())
        .col(ColumnDef::new(RefreshLeases::Owner).text().not_null())
        .col(ColumnDef::new(RefreshLeases::Epoch).big_integer().not_null())
        .col(ColumnDef::new(RefreshLeases::ExpireTime).big_integer().not_null())
        .col(ColumnDef::new(RefreshLeases::Losses).big_integer().not_null())
        .col(ColumnDef::new(RefreshLeases::LossTime).big_integer().not_null())
        .col(ColumnDef::new(RefreshLeases::RetryTime).big_integer().not_null())
        .col(ColumnDef::new(RefreshLeases::RetryReason).text().not_null())
        .col(ColumnDef::new(RefreshLeases::RetryCause).text().not_null())
        .foreign_key(
            ForeignKey::create()
                .from(RefreshLeases::Table, RefreshLeases::ConnectionName)
                .to(Connections::Table, Connections::Name)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn connection_changes() -> TableCreateStatement {
    Table::create()
        .table(ConnectionChanges::Table)
        .col(ColumnDef::new(ConnectionChanges::Sequence).big_integer().not_null().primary_key())
        .col(ColumnDef::new(ConnectionChanges::ConnectionName).text().not_null())
        .col(ColumnDef::new(ConnectionChanges::Tenant).text().not_null())
        .col(ColumnDef::new(ConnectionChanges::State).text().not_null())
        .col(ColumnDef::new(ConnectionChanges::StateCause).text().not_null())
        .col(ColumnDef::new(ConnectionChanges::StateTime).big_integer().not_null())
        .col(ColumnDef::new(ConnectionChanges::Deleted).boolean().not_null())
        .col(ColumnDef::new(ConnectionChanges::ChangeTime).big_integer().not_null())
        .to_owned()
}

fn connection_change_counter() -> TableCreateStatement {
    Table::create()
        .table(ConnectionChangeCounter::Table)
        .col(ColumnDef::new(ConnectionChangeCounter::Id).big_integer().not_null().primary_key())
        .col(ColumnDef::new(ConnectionChangeCounter::Latest).big_integer().not_null())
        .col(ColumnDef::new(ConnectionChangeCounter::Pruned).big_integer().not_null())
        .to_owned()
}
