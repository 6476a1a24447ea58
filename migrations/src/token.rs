//! The token database: connections, their sealed tokens, who may refresh them, authorizations.

mod m20261121_000001_create_connections;
mod m20261121_000002_create_authorizations;
mod m20261121_000003_create_keyring_canary;
mod m20261121_000004_fence_refreshes;
mod m20261121_000005_deliver_webhooks;
mod m20261121_000006_keep_claims;
mod m20261121_000007_share_fences;

use sea_orm_migration::{
    MigrationTrait, MigratorTrait, async_trait, sea_orm::DynIden, sea_query::IntoIden as _,
};

/// Applies the migrations of the token database.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_create_connections::Migration),
            Box::new(m20261121_000002_create_authorizations::Migration),
            Box::new(m20261121_000003_create_keyring_canary::Migration),
            Box::new(m20261121_000004_fence_refreshes::Migration),
            Box::new(m20261121_000005_deliver_webhooks::Migration),
            Box::new(m20261121_000006_keep_claims::Migration),
            Box::new(m20261121_000007_share_fences::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "token_migrations".into_iden()
    }
}
