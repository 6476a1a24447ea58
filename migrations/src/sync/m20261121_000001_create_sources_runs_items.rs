//! Sources, their runs, and the index of items: desired beside applied.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Sources {
    Table,
    SourceKey,
    TenantId,
    SourceId,
    DisplayName,
    Connection,
    Drive,
    DestinationKind,
    DestinationPath,
    DestinationFilled,
    IntervalMs,
    Suspended,
    State,
    CursorState,
    Cursor,
    Generation,
    Enumerating,
    NextRunTime,
    Failures,
    ApprovedDeletions,
    LeaseWorker,
    LeaseEpoch,
    LeaseExpireTime,
    OpenRunKey,
    LatestRunId,
    CreateTime,
    UpdateTime,
}

#[derive(DeriveIden)]
enum Runs {
    Table,
    RunKey,
    SourceKey,
    RunId,
    State,
    Phase,
    Reason,
    Detail,
    CancelRequested,
    ListingComplete,
    Pages,
    ItemsListed,
    FoldersMade,
    ItemsMoved,
    FilesTransferred,
    BytesTransferred,
    ItemsDeleted,
    ItemsFailed,
    FilesPlanned,
    BytesPlanned,
    DeletionsHeld,
    GraphRequests,
    GraphRequestsBefore,
    BytesReceived,
    BytesReceivedBefore,
    CreateTime,
    EndTime,
}

#[derive(DeriveIden)]
enum Items {
    Table,
    SourceKey,
    ItemId,
    ParentId,
    Name,
    LocalName,
    Kind,
    Size,
    Version,
    Hash,
    ETag,
    ModifiedTime,
    AppliedParentId,
    AppliedName,
    AppliedKind,
    AppliedVersion,
    AppliedModifiedTime,
    Generation,
    Work,
    FailedRunKey,
    FailureReason,
    FailureDetail,
}

fn text(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).text().not_null().take()
}

fn maybe_text(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).text().null().take()
}

fn number(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).big_integer().not_null().default(0_i64).take()
}

fn maybe_number(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).big_integer().null().take()
}

fn small(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).small_integer().not_null().default(0_i16).take()
}

fn flag(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).boolean().not_null().default(false).take()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(sources()).await?;
        manager
            .create_index(
                Index::create()
                    .name("sources_by_name")
                    .table(Sources::Table)
                    .col(Sources::TenantId)
                    .col(Sources::SourceId)
                    .unique()
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("sources_by_next_run_time")
                    .table(Sources::Table)
                    .col(Sources::NextRunTime)
                    .take(),
            )
            .await?;
        manager.create_table(runs()).await?;
        manager
            .create_index(
                Index::create()
                    .name("runs_by_source")
                    .table(Runs::Table)
                    .col(Runs::SourceKey)
                    .col(Runs::RunId)
                    .unique()
                    .take(),
            )
            .await?;
        manager.create_table(items()).await?;
        create_item_indices(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Items::Table).take()).await?;
        manager.drop_table(Table::drop().table(Runs::Table).take()).await?;
        manager.drop_table(Table::drop().table(Sources::Table).take()).await
    }
}

fn sources() -> TableCreateStatement {
    Table::create()
        .table(Sources::Table)
        .col(ColumnDef::new(Sources::SourceKey).big_integer().not_null().auto_increment().primary_key())
        .col(text(Sources::TenantId))
        .col(text(Sources::SourceId))
        .col(text(Sources::DisplayName))
        .col(text(Sources::Connection))
        .col(text(Sources::Drive))
        .col(small(Sources::DestinationKind))
        .col(text(Sources::DestinationPath))
        .col(flag(Sources::DestinationFilled))
        .col(number(Sources::IntervalMs))
        .col(flag(Sources::Suspended))
        .col(small(Sources::State))
        .col(small(Sources::CursorState))
        .col(text(Sources::Cursor))
        .col(number(Sources::Generation))
        .col(flag(Sources::Enumerating))
        .col(number(Sources::NextRunTime))
        .col(ColumnDef::new(Sources::Failures).integer().not_null().default(0))
        .col(number(Sources::ApprovedDeletions))
        .col(text(Sources::LeaseWorker))
        .col(number(Sources::LeaseEpoch))
        .col(maybe_number(Sources::LeaseExpireTime))
        .col(maybe_number(Sources::OpenRunKey))
        .col(maybe_text(Sources::LatestRunId))
        .col(number(Sources::CreateTime))
        .col(number(Sources::UpdateTime))
        .take()
}

fn runs() -> TableCreateStatement {
    Table::create()
        .table(Runs::Table)
        .col(ColumnDef::new(Runs::RunKey).big_integer().not_null().auto_increment().primary_key())
        .col(number(Runs::SourceKey))
        .col(text(Runs::RunId))
        .col(small(Runs::State))
        .col(small(Runs::Phase))
        .col(text(Runs::Reason))
        .col(text(Runs::Detail))
        .col(flag(Runs::CancelRequested))
        .col(flag(Runs::ListingComplete))
        .col(number(Runs::Pages))
        .col(number(Runs::ItemsListed))
        .col(number(Runs::FoldersMade))
        .col(number(Runs::ItemsMoved))
        .col(number(Runs::FilesTransferred))
        .col(number(Runs::BytesTransferred))
        .col(number(Runs::ItemsDeleted))
        .col(number(Runs::ItemsFailed))
        .col(number(Runs::FilesPlanned))
        .col(number(Runs::BytesPlanned))
        .col(number(Runs::DeletionsHeld))
        .col(number(Runs::GraphRequests))
        .col(number(Runs::GraphRequestsBefore))
        .col(number(Runs::BytesReceived))
        .col(number(Runs::BytesReceivedBefore))
        .col(number(Runs::CreateTime))
        .col(maybe_number(Runs::EndTime))
        .foreign_key(
            ForeignKey::create()
                .name("runs_source")
                .from(Runs::Table, Runs::SourceKey)
                .to(Sources::Table, Sources::SourceKey)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}

fn items() -> TableCreateStatement {
    Table::create()
        .table(Items::Table)
        .col(number(Items::SourceKey))
        .col(text(Items::ItemId))
        .col(maybe_text(Items::ParentId))
        .col(maybe_text(Items::Name))
        .col(maybe_text(Items::LocalName))
        .col(ColumnDef::new(Items::Kind).small_integer().null())
        .col(number(Items::Size))
        .col(text(Items::Version))
        .col(maybe_text(Items::Hash))
        .col(text(Items::ETag))
        .col(maybe_number(Items::ModifiedTime))
        .col(maybe_text(Items::AppliedParentId))
        .col(maybe_text(Items::AppliedName))
        .col(ColumnDef::new(Items::AppliedKind).small_integer().null())
        .col(text(Items::AppliedVersion))
        .col(maybe_number(Items::AppliedModifiedTime))
        .col(number(Items::Generation))
        .col(small(Items::Work))
        .col(maybe_number(Items::FailedRunKey))
        .col(maybe_text(Items::FailureReason))
        .col(maybe_text(Items::FailureDetail))
        .primary_key(Index::create().name("items_pk").col(Items::SourceKey).col(Items::ItemId))
        .foreign_key(
            ForeignKey::create()
                .name("items_source")
                .from(Items::Table, Items::SourceKey)
                .to(Sources::Table, Sources::SourceKey)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}

async fn create_item_indices(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Where a desired place is looked up: are two items to lie at the same one?
    manager
        .create_index(
            Index::create()
                .name("items_by_desired_place")
                .table(Items::Table)
                .col(Items::SourceKey)
                .col(Items::ParentId)
                .col(Items::LocalName)
                .take(),
        )
        .await?;
    // Where an applied place is looked up: what lies there now, and does a folder still hold anything?
    manager
        .create_index(
            Index::create()
                .name("items_by_applied_place")
                .table(Items::Table)
                .col(Items::SourceKey)
                .col(Items::AppliedParentId)
                .col(Items::AppliedName)
                .take(),
        )
        .await?;
    // Only what differs: its size follows what changed, not what exists.
    manager
        .create_index(
            Index::create()
                .name("items_by_work")
                .table(Items::Table)
                .col(Items::SourceKey)
                .col(Items::Work)
                .col(Items::ItemId)
                .and_where(Expr::col(Items::Work).ne(0))
                .take(),
        )
        .await
}
