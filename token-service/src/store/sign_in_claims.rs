//! Claims that a provider wants the next sign-in of a connection to answer.

use sea_orm::{ActiveValue::Set, EntityTrait as _, sea_query::OnConflict};

use super::{Store, StoreError, WriteTransaction, entity::sign_in_claims as entity};
use crate::domain::names::ConnectionName;

impl Store {
    /// What the next sign-in of a connection must answer; nothing when nothing is known, or there is no such connection.
    pub async fn find_sign_in_claims(
        &self,
        connection: &ConnectionName,
    ) -> Result<Option<String>, StoreError> {
        let row = entity::Entity::find_by_id(connection.to_string()).one(&self.database).await?;
        Ok(row.map(|row| row.claims))
    }
}

impl WriteTransaction {
    /// Keeps claims for the next sign-in, in place of earlier ones.
    pub async fn keep_sign_in_claims(
        &self,
        connection: &ConnectionName,
        claims: &str,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            connection_name: Set(connection.to_string()),
            claims: Set(claims.to_owned()),
        };
        let replace = OnConflict::column(entity::Column::ConnectionName)
            .update_column(entity::Column::Claims)
            .to_owned();
        entity::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Forgets them: somebody signed in.
    pub async fn forget_sign_in_claims(&self, connection: &ConnectionName) -> Result<(), StoreError> {
        entity::Entity::delete_by_id(connection.to_string()).exec(&self.inner).await?;
        Ok(())
    }
}
