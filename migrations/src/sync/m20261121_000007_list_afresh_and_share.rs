//! When a drive is listed afresh, whose turn it is, and which sources sleep until their connection is repaired.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum Sources {
    Table,
    Connection,
    NextRunTime,
    Listing,
    FullIntervalMs,
    FullTime,
    FeedFailures,
    Asleep,
}

#[derive(DeriveIden)]
enum Runs {
    Table,
    Listing,
}

#[derive(DeriveIden)]
enum TenantTurns {
    Table,
    TenantId,
    LeaseTime,
}

#[derive(DeriveIden)]
enum ConnectionStates {
    Table,
    Connection,
    Usable,
    ChangeTime,
}

#[derive(DeriveIden)]
enum ConnectionWatch {
    Table,
    Id,
    ResumeToken,
}

/// Sources of before count from when they were last touched, so that they do not all list their drives at once.
const FULL_TIMES: &str = "UPDATE sources SET full_time = update_time";

/// Index for the sources of a connection, the longest due first.
const BY_CONNECTION: &str = "sources_by_connection";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in source_columns() {
            manager.alter_table(Table::alter().table(Sources::Table).add_column(column).take()).await?;
        }
        manager.get_connection().execute_unprepared(FULL_TIMES).await?;
        let listing = ColumnDef::new(Runs::Listing).small_integer().not_null().default(0_i16).take();
        manager.alter_table(Table::alter().table(Runs::Table).add_column(listing).take()).await?;
        let by_connection = Index::create()
            .name(BY_CONNECTION)
            .table(Sources::Table)
            .col(Sources::Connection)
            .col(Sources::NextRunTime)
            .take();
        manager.create_index(by_connection).await?;
        manager.create_table(tenant_turns()).await?;
        manager.create_table(connection_states()).await?;
        manager.create_table(connection_watch()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ConnectionWatch::Table).take()).await?;
        manager.drop_table(Table::drop().table(ConnectionStates::Table).take()).await?;
        manager.drop_table(Table::drop().table(TenantTurns::Table).take()).await?;
        manager.drop_index(Index::drop().name(BY_CONNECTION).table(Sources::Table).to_owned()).await?;
        manager.alter_table(Table::alter().table(Runs::Table).drop_column(Runs::Listing).take()).await?;
        let columns = [
            Sources::Asleep,
            Sources::FeedFailures,
            Sources::FullTime,
            Sources::FullIntervalMs,
            Sources::Listing,
        ];
        for column in columns {
            manager.alter_table(Table::alter().table(Sources::Table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}

fn source_columns() -> [ColumnDef; 5] {
    [
        ColumnDef::new(Sources::Listing).small_integer().not_null().default(1_i16).take(),
        ColumnDef::new(Sources::FullIntervalMs).big_integer().null().take(),
        ColumnDef::new(Sources::FullTime).big_integer().not_null().default(0_i64).take(),
        ColumnDef::new(Sources::FeedFailures).integer().not_null().default(0).take(),
        ColumnDef::new(Sources::Asleep).boolean().not_null().default(false).take(),
    ]
}

/// When each tenant's last run was leased.
fn tenant_turns() -> TableCreateStatement {
    Table::create()
        .table(TenantTurns::Table)
        .col(ColumnDef::new(TenantTurns::TenantId).text().not_null().primary_key())
        .col(ColumnDef::new(TenantTurns::LeaseTime).big_integer().not_null())
        .take()
}

/// What token-service said last of each connection, and when.
fn connection_states() -> TableCreateStatement {
    Table::create()
        .table(ConnectionStates::Table)
        .col(ColumnDef::new(ConnectionStates::Connection).text().not_null().primary_key())
        .col(ColumnDef::new(ConnectionStates::Usable).boolean().not_null())
        .col(ColumnDef::new(ConnectionStates::ChangeTime).big_integer().not_null())
        .take()
}

/// One row: how far the changes of connections are followed.
fn connection_watch() -> TableCreateStatement {
    Table::create()
        .table(ConnectionWatch::Table)
        .col(ColumnDef::new(ConnectionWatch::Id).small_integer().not_null().primary_key())
        .col(ColumnDef::new(ConnectionWatch::ResumeToken).text().not_null())
        .take()
}
