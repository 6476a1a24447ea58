//! What the places of items are compared by: their names, folded where the destination takes several spellings for one name.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Sources {
    Table,
    FoldsNames,
}

#[derive(DeriveIden)]
enum Items {
    Table,
    SourceKey,
    ParentId,
    LocalName,
    PlaceName,
    AppliedParentId,
    AppliedName,
    AppliedPlaceName,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let folds = ColumnDef::new(Sources::FoldsNames).boolean().not_null().default(false).take();
        manager.alter_table(Table::alter().table(Sources::Table).add_column(folds).take()).await?;
        for column in [Items::PlaceName, Items::AppliedPlaceName] {
            let column = ColumnDef::new(column).text().null().take();
            manager.alter_table(Table::alter().table(Items::Table).add_column(column).take()).await?;
        }
        // Of no destination is it known yet that it folds names; a run that finds it out folds those that are there.
        let fill = Query::update()
            .table(Items::Table)
            .value(Items::PlaceName, Expr::col(Items::LocalName))
            .value(Items::AppliedPlaceName, Expr::col(Items::AppliedName))
            .take();
        manager.execute(fill).await?;
        create_indices(manager, Items::PlaceName, Items::AppliedPlaceName).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_indices(manager, Items::LocalName, Items::AppliedName).await?;
        for column in [Items::AppliedPlaceName, Items::PlaceName] {
            manager.alter_table(Table::alter().table(Items::Table).drop_column(column).take()).await?;
        }
        manager
            .alter_table(Table::alter().table(Sources::Table).drop_column(Sources::FoldsNames).take())
            .await
    }
}

/// Makes the two indices on places anew.
async fn create_indices(manager: &SchemaManager<'_>, desired: Items, applied: Items) -> Result<(), DbErr> {
    let indices = [
        ("items_by_desired_place", Items::ParentId, desired),
        ("items_by_applied_place", Items::AppliedParentId, applied),
    ];
    for (name, folder, in_folder) in indices {
        manager.drop_index(Index::drop().name(name).table(Items::Table).to_owned()).await?;
        let index = Index::create()
            .name(name)
            .table(Items::Table)
            .col(Items::SourceKey)
            .col(folder)
            .col(in_folder)
            .take();
        manager.create_index(index).await?;
    }
    Ok(())
}
