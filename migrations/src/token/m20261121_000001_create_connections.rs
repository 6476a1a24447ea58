//! Connections with their sealed credentials, and the access tokens that callers share.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Connections {
    Table,
    Name,
    Tenant,
    Uid,
    DisplayName,
    Provider,
    ClientId,
    Scopes,
    AccountDirectoryId,
    AccountObjectId,
    AccountUsername,
    State,
    StateCause,
    StateTime,
    CreateTime,
    RefreshTime,
    Generation,
    DataKey,
    DataKeyVersion,
    RefreshToken,
    RefreshTokenGeneration,
}

#[derive(DeriveIden)]
enum AccessTokens {
    Table,
    ConnectionName,
    ScopeKey,
    TokenType,
    GrantedScopes,
    ObtainTime,
    ExpireTime,
    Generation,
    AccessToken,
}

/// Index for lists of one tenant.
const BY_TENANT: &str = "connections_by_tenant";
/// Index for lists of one state.
const BY_STATE: &str = "connections_by_state";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(connections()).await?;
        let by = |name: &str, column: Connections| {
            Index::create().name(name).table(Connections::Table).col(column).col(Connections::Name).to_owned()
        };
        manager.create_index(by(BY_TENANT, Connections::Tenant)).await?;
        manager.create_index(by(BY_STATE, Connections::State)).await?;
        manager.create_table(access_tokens()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(AccessTokens::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Connections::Table).to_owned()).await
    }
}

fn connections() -> TableCreateStatement {
    Table::create()
        .table(Connections::Table)
        .col(ColumnDef::new(Connections::Name).text().not_null().primary_key())
        .col(ColumnDef::new(Connections::Tenant).text().not_null())
        .col(ColumnDef::new(Connections::Uid).text().not_null())
        .col(ColumnDef::new(Connections::DisplayName).text().not_null())
        .col(ColumnDef::new(Connections::Provider).text().not_null())
        .col(ColumnDef::new(Connections::ClientId).text().not_null())
        .col(ColumnDef::new(Connections::Scopes).text().not_null())
        .col(ColumnDef::new(Connections::AccountDirectoryId).text().null())
        .col(ColumnDef::new(Connections::AccountObjectId).text().null())
        .col(ColumnDef::new(Connections::AccountUsername).text().null())
        .col(ColumnDef::new(Connections::State).text().not_null())
        .col(ColumnDef::new(Connections::StateCause).text().not_null())
        .col(ColumnDef::new(Connections::StateTime).big_integer().not_null())
        .col(ColumnDef::new(Connections::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Connections::RefreshTime).big_integer().null())
        .col(ColumnDef::new(Connections::Generation).big_integer().not_null())
        .col(ColumnDef::new(Connections::DataKey).blob().not_null())
        .col(ColumnDef::new(Connections::DataKeyVersion).big_integer().not_null())
        .col(ColumnDef::new(Connections::RefreshToken).blob().not_null())
        .col(ColumnDef::new(Connections::RefreshTokenGeneration).big_integer().not_null())
        .to_owned()
}

fn access_tokens() -> TableCreateStatement {
    Table::create()
        .table(AccessTokens::Table)
        .col(ColumnDef::new(AccessTokens::ConnectionName).text().not_null())
        .col(ColumnDef::new(AccessTokens::ScopeKey).text().not_null())
        .col(ColumnDef::new(AccessTokens::TokenType).text().not_null())
        .col(ColumnDef::new(AccessTokens::GrantedScopes).text().not_null())
        .col(ColumnDef::new(AccessTokens::ObtainTime).big_integer().not_null())
        .col(ColumnDef::new(AccessTokens::ExpireTime).big_integer().not_null())
        .col(ColumnDef::new(AccessTokens::Generation).big_integer().not_null())
        .col(ColumnDef::new(AccessTokens::AccessToken).blob().not_null())
        .primary_key(Index::create().col(AccessTokens::ConnectionName).col(AccessTokens::ScopeKey))
        .foreign_key(
            ForeignKey::create()
                .from(AccessTokens::Table, AccessTokens::ConnectionName)
                .to(Connections::Table, Connections::Name)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}
