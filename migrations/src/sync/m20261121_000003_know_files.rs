//! What the files at a destination are, so that a changed one is never taken for Sluice's own; and notices of runs.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Items {
    Table,
    AppliedSize,
    AppliedHash,
    AppliedFileTime,
}

#[derive(DeriveIden)]
enum Runs {
    Table,
    RunKey,
    LocalKept,
}

#[derive(DeriveIden)]
enum RunNotices {
    Table,
    NoticeKey,
    RunKey,
    Reason,
    Path,
    Detail,
}

/// Of a file that an earlier version applied, only the time is known that it was given.
const FILL: &str =
    "UPDATE items SET applied_file_time = applied_modified_time WHERE applied_modified_time IS NOT NULL";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            ColumnDef::new(Items::AppliedSize).big_integer().null().take(),
            ColumnDef::new(Items::AppliedHash).text().null().take(),
            ColumnDef::new(Items::AppliedFileTime).big_integer().null().take(),
        ] {
            manager.alter_table(Table::alter().table(Items::Table).add_column(column).take()).await?;
        }
        manager.get_connection().execute_unprepared(FILL).await?;
        let kept = ColumnDef::new(Runs::LocalKept).big_integer().not_null().default(0_i64).take();
        manager.alter_table(Table::alter().table(Runs::Table).add_column(kept).take()).await?;
        manager.create_table(run_notices()).await?;
        // One notice of each kind and place in a run: what is reported twice is one.
        manager
            .create_index(
                Index::create()
                    .name("run_notices_by_place")
                    .table(RunNotices::Table)
                    .col(RunNotices::RunKey)
                    .col(RunNotices::Path)
                    .col(RunNotices::Reason)
                    .unique()
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(RunNotices::Table).take()).await?;
        manager.alter_table(Table::alter().table(Runs::Table).drop_column(Runs::LocalKept).take()).await?;
        for column in [Items::AppliedFileTime, Items::AppliedHash, Items::AppliedSize] {
            manager.alter_table(Table::alter().table(Items::Table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}

fn run_notices() -> TableCreateStatement {
    Table::create()
        .table(RunNotices::Table)
        .col(ColumnDef::new(RunNotices::NoticeKey).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(RunNotices::RunKey).big_integer().not_null())
        .col(ColumnDef::new(RunNotices::Reason).text().not_null())
        .col(ColumnDef::new(RunNotices::Path).text().not_null())
        .col(ColumnDef::new(RunNotices::Detail).text().not_null())
        .foreign_key(
            ForeignKey::create()
                .name("run_notices_run")
                .from(RunNotices::Table, RunNotices::RunKey)
                .to(Runs::Table, Runs::RunKey)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}
