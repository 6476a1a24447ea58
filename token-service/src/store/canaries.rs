//! Canaries: one sealed known text per key of the keyring.

use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryOrder as _};
use service_kit::clock::Timestamp;

use super::{Store, StoreError, entity::keyring_canary as entity};
use crate::domain::sealed::Sealed;

impl Store {
    /// Every canary with the id of its key.
    pub async fn list_canaries(&self) -> Result<Vec<(String, Sealed)>, StoreError> {
        let rows = entity::Entity::find().order_by_asc(entity::Column::KeyId).all(&self.database).await?;
        Ok(rows.into_iter().map(|row| (row.key_id, Sealed::from_bytes(row.sealed))).collect())
    }

    /// Stores the canary of a key that has none yet.
    pub async fn insert_canary(
        &self,
        key_id: &str,
        sealed: &Sealed,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            key_id: Set(key_id.to_owned()),
            sealed: Set(sealed.as_bytes().to_vec()),
            create_time: Set(now.as_millis()),
        };
        entity::Entity::insert(row).exec_without_returning(&self.database).await?;
        Ok(())
    }
}
