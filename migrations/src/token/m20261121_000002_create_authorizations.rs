//! Sign-ins under way or ended, with their sealed codes while they are pending.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Authorizations {
    Table,
    Name,
    ConnectionName,
    DisplayName,
    Scopes,
    State,
    FailureCause,
    CreateTime,
    ExpireTime,
    EndTime,
    NextPollTime,
    PollIntervalMillis,
    Generation,
    DataKey,
    DeviceCode,
    UserCode,
}

/// Index for what is to be polled next.
const BY_NEXT_POLL: &str = "authorizations_by_next_poll";
/// Index for what has ended long enough ago.
const BY_END_TIME: &str = "authorizations_by_end_time";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(authorizations()).await?;
        let by_next_poll = Index::create()
            .name(BY_NEXT_POLL)
            .table(Authorizations::Table)
            .col(Authorizations::State)
            .col(Authorizations::NextPollTime)
            .to_owned();
        manager.create_index(by_next_poll).await?;
        let by_end_time = Index::create()
            .name(BY_END_TIME)
            .table(Authorizations::Table)
            .col(Authorizations::EndTime)
            .to_owned();
        manager.create_index(by_end_time).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Authorizations::Table).to_owned()).await
    }
}

fn authorizations() -> TableCreateStatement {
    Table::create()
        .table(Authorizations::Table)
        .col(ColumnDef::new(Authorizations::Name).text().not_null().primary_key())
        .col(ColumnDef::new(Authorizations::ConnectionName).text().not_null())
        .col(ColumnDef::new(Authorizations::DisplayName).text().not_null())
        .col(ColumnDef::new(Authorizations::Scopes).text().not_null())
        .col(ColumnDef::new(Authorizations::State).text().not_null())
        .col(ColumnDef::new(Authorizations::FailureCause).text().not_null())
        .col(ColumnDef::new(Authorizations::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Authorizations::ExpireTime).big_integer().not_null())
        .col(ColumnDef::new(Authorizations::EndTime).big_integer().null())
        .col(ColumnDef::new(Authorizations::NextPollTime).big_integer().not_null())
        .col(ColumnDef::new(Authorizations::PollIntervalMillis).big_integer().not_null())
        .col(ColumnDef::new(Authorizations::Generation).big_integer().not_null())
        .col(ColumnDef::new(Authorizations::DataKey).blob().null())
        .col(ColumnDef::new(Authorizations::DeviceCode).blob().null())
        .col(ColumnDef::new(Authorizations::UserCode).blob().null())
        .to_owned()
}
