//! Directories (Entra tenants) that throttled an app, for all replicas.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};
use service_kit::clock::Timestamp;

use super::{Store, StoreError, WriteTransaction, entity::directory_fence as entity};

/// Until when a directory is to be left alone, and the provider's error code and number.
pub type DirectoryFence = (Timestamp, String);

impl Store {
    /// Raises the fence of an app and a directory. One that lasts longer stays; those that are over are cleared away.
    pub async fn raise_directory_fence(
        &self,
        (client_id, directory_id): (&str, &str),
        (until, cause): (Timestamp, &str),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.begin_write().await?;
        entity::Entity::delete_many()
            .filter(entity::Column::RetryTime.lte(now.as_millis()))
            .exec(&transaction.inner)
            .await?;
        let row = entity::ActiveModel {
            client_id: Set(client_id.to_owned()),
            directory_id: Set(directory_id.to_owned()),
            retry_time: Set(until.as_millis()),
            cause: Set(cause.to_owned()),
        };
        let raise = OnConflict::columns([entity::Column::ClientId, entity::Column::DirectoryId])
            .update_columns([entity::Column::RetryTime, entity::Column::Cause])
            .action_and_where(Expr::col((entity::Entity, entity::Column::RetryTime)).lt(until.as_millis()))
            .to_owned();
        entity::Entity::insert(row).on_conflict(raise).exec_without_returning(&transaction.inner).await?;
        transaction.commit().await
    }
}

impl WriteTransaction {
    /// Reads the fence of an app and a directory, which may be over.
    pub async fn find_directory_fence(
        &self,
        client_id: &str,
        directory_id: &str,
    ) -> Result<Option<DirectoryFence>, StoreError> {
        let id = (client_id.to_owned(), directory_id.to_owned());
        let row = entity::Entity::find_by_id(id).one(&self.inner).await?;
        Ok(row.map(|row| (Timestamp::from_millis(row.retry_time), row.cause)))
    }
}
