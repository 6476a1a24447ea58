//! Runs that only look, and what they find.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Sources {
    Table,
    WaitingRunKey,
}

#[derive(DeriveIden)]
enum Runs {
    Table,
    RunKey,
    Kind,
    FindingCounts,
}

#[derive(DeriveIden)]
enum RunFindings {
    Table,
    RunKey,
    Number,
    Kind,
    Path,
    FromPath,
    Size,
    Reason,
    Detail,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let waiting = ColumnDef::new(Sources::WaitingRunKey).big_integer().null().take();
        manager.alter_table(Table::alter().table(Sources::Table).add_column(waiting).take()).await?;
        for column in [
            ColumnDef::new(Runs::Kind).small_integer().not_null().default(0).take(),
            ColumnDef::new(Runs::FindingCounts).text().null().take(),
        ] {
            manager.alter_table(Table::alter().table(Runs::Table).add_column(column).take()).await?;
        }
        manager.create_table(run_findings()).await?;
        // Only sources with something that waits: few, whatever there are.
        manager
            .create_index(
                Index::create()
                    .name("sources_by_waiting_run")
                    .table(Sources::Table)
                    .col(Sources::WaitingRunKey)
                    .and_where(Expr::col(Sources::WaitingRunKey).is_not_null())
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("sources_by_waiting_run").table(Sources::Table).to_owned();
        manager.drop_index(index).await?;
        manager.drop_table(Table::drop().table(RunFindings::Table).take()).await?;
        for column in [Runs::FindingCounts, Runs::Kind] {
            manager.alter_table(Table::alter().table(Runs::Table).drop_column(column).take()).await?;
        }
        let waiting = Table::alter().table(Sources::Table).drop_column(Sources::WaitingRunKey).take();
        manager.alter_table(waiting).await
    }
}

fn run_findings() -> TableCreateStatement {
    Table::create()
        .table(RunFindings::Table)
        .col(ColumnDef::new(RunFindings::RunKey).big_integer().not_null())
        .col(ColumnDef::new(RunFindings::Number).big_integer().not_null())
        .col(ColumnDef::new(RunFindings::Kind).small_integer().not_null())
        .col(ColumnDef::new(RunFindings::Path).text().not_null())
        .col(ColumnDef::new(RunFindings::FromPath).text().not_null())
        .col(ColumnDef::new(RunFindings::Size).big_integer().not_null())
        .col(ColumnDef::new(RunFindings::Reason).text().not_null())
        .col(ColumnDef::new(RunFindings::Detail).text().not_null())
        .primary_key(
            Index::create().name("run_findings_pk").col(RunFindings::RunKey).col(RunFindings::Number),
        )
        .foreign_key(
            ForeignKey::create()
                .name("run_findings_run")
                .from(RunFindings::Table, RunFindings::RunKey)
                .to(Runs::Table, Runs::RunKey)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}
