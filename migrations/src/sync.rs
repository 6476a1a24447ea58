//! The sync database: sources, their runs, the index of items.

use sea_orm_migration::{
    MigrationTrait, MigratorTrait, async_trait, sea_orm::DynIden, sea_query::IntoIden as _,
};

mod m20261121_000001_create_sources_runs_items;
mod m20261121_000002_back_off_items;
mod m20261121_000003_know_files;
mod m20261121_000004_create_throttles;
mod m20261121_000005_add_run_activity;
mod m20261121_000006_scope_items;
mod m20261121_000007_list_afresh_and_share;
mod m20261121_000008_filter_items;
mod m20261121_000009_name_places;
mod m20261121_000010_share_budgets;
mod m20261121_000011_create_findings;

/// Applies the migrations of the sync database.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_sources_runs_items::Migration),
            Box::new(m20261121_000002_back_off_items::Migration),
            Box::new(m20261121_000003_know_files::Migration),
            Box::new(m20261121_000004_create_throttles::Migration),
            Box::new(m20261121_000005_add_run_activity::Migration),
            Box::new(m20261121_000006_scope_items::Migration),
            Box::new(m20261121_000007_list_afresh_and_share::Migration),
            Box::new(m20261121_000008_filter_items::Migration),
            Box::new(m20261121_000009_name_places::Migration),
            Box::new(m20261121_000010_share_budgets::Migration),
            Box::new(m20261121_000011_create_findings::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "sync_migrations".into_iden()
    }
}
