//! Claims that a provider wants the next sign-in of a connection to answer.

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
enum SignInClaims {
    Table,
    ConnectionName,
    Claims,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(SignInClaims::Table)
                    .col(ColumnDef::new(SignInClaims::ConnectionName).text().not_null().primary_key())
                    .col(ColumnDef::new(SignInClaims::Claims).text().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(SignInClaims::Table, SignInClaims::ConnectionName)
                            .to(Connections::Table, Connections::Name)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SignInClaims::Table).to_owned()).await
    }
}
