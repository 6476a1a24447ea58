//! Who imports what: a name is imported by one call at a time, and so is a refresh token. Times are the database's.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, ExprTrait as _},
};

use super::{
    Store, StoreError,
    entity::import_lease as entity,
    refresh_leases::{database_time, in_database_time},
};

impl Store {
    /// Takes all subjects for `length`, or none: says whether it has them.
    pub async fn claim_imports(
        &self,
        subjects: &[String],
        owner: &str,
        length: Duration,
    ) -> Result<bool, StoreError> {
        let transaction = self.begin_write().await?;
        let (database, clock) = (&transaction.inner, transaction.clock.as_ref());
        entity::Entity::delete_many()
            .filter(Expr::col(entity::Column::ExpireTime).lte(database_time(database, clock)))
            .exec(&transaction.inner)
            .await?;
        let rows = subjects.iter().map(|subject| entity::ActiveModel {
            subject: Set(subject.clone()),
            owner: Set(owner.to_owned()),
            expire_time: Set(i64::MAX),
        });
        let inserted = entity::Entity::insert_many(rows).exec_without_returning(&transaction.inner).await;
        match inserted.map_err(StoreError::from) {
            Ok(_) => {}
            Err(StoreError::AlreadyExists) => return Ok(false),
            Err(error) => return Err(error),
        }
        entity::Entity::update_many()
            .col_expr(entity::Column::ExpireTime, in_database_time(database, clock, length))
            .filter(entity::Column::Owner.eq(owner))
            .exec(&transaction.inner)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives back what this owner has.
    pub async fn release_imports(&self, owner: &str) -> Result<(), StoreError> {
        entity::Entity::delete_many().filter(entity::Column::Owner.eq(owner)).exec(&self.database).await?;
        Ok(())
    }
}
