//! Webhooks: one row per endpoint, which one replica at a time holds, and one per state change that it is still to be told of.
//!
//! The changes themselves are read from their own sequence, so a delivery is little more than a number.

use std::{collections::HashMap, time::Duration};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Select,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};
use service_kit::clock::Timestamp;

use super::{
    ConnectionChange, Store, StoreError,
    entity::{connection_change, webhook_delivery as delivery, webhook_endpoint as entity},
    error::require_one_row,
    refresh_leases::{database_time, in_database_time},
};

/// Whoever tells an endpoint between two owners.
const NOBODY: &str = "";

/// A change that an endpoint is still to be told of.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The change.
    pub change: ConnectionChange,
    /// Attempts that failed.
    pub attempts: u32,
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// The endpoint has it.
    Yes,
    /// It is tried again.
    Later {
        /// When.
        time: Timestamp,
        /// What failed, safe to show.
        reason: String,
    },
    /// It is not tried again; the row stays for a while.
    Never {
        /// What failed, safe to show.
        reason: String,
    },
}

impl Store {
    /// Claims an endpoint for `length`, or keeps it, and gives the number of the last change that it was given deliveries for.
    /// Nothing while another replica holds it. A new endpoint begins with the changes after now.
    pub async fn claim_webhook_endpoint(
        &self,
        id: &str,
        owner: &str,
        length: Duration,
    ) -> Result<Option<i64>, StoreError> {
        let (database, clock) = (&self.database, self.clock.as_ref());
        let claim = || {
            let is_mine = entity::Column::Owner.is_in([owner, NOBODY]);
            let is_over = Expr::col(entity::Column::ExpireTime).lte(database_time(database, clock));
            entity::Entity::update_many()
                .col_expr(entity::Column::Owner, Expr::value(owner))
                .col_expr(entity::Column::ExpireTime, in_database_time(database, clock, length))
                .filter(entity::Column::Id.eq(id))
                .filter(is_mine.or(is_over))
                .exec(&self.database)
        };
        if claim().await?.rows_affected == 0 {
            let latest = self.change_count().await?.latest;
            let row = entity::ActiveModel {
                id: Set(id.to_owned()),
                position: Set(latest),
                owner: Set(NOBODY.to_owned()),
                expire_time: Set(0),
            };
            let known = OnConflict::column(entity::Column::Id).do_nothing().to_owned();
            entity::Entity::insert(row).on_conflict(known).exec_without_returning(&self.database).await?;
            if claim().await?.rows_affected == 0 {
                return Ok(None);
            }
        }
        let row = entity::Entity::find_by_id(id).one(&self.database).await?;
        Ok(row.filter(|row| row.owner == owner).map(|row| row.position))
    }

    /// Gives an endpoint back, so that another replica need not wait.
    pub async fn release_webhook_endpoint(&self, id: &str, owner: &str) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .col_expr(entity::Column::Owner, Expr::value(NOBODY))
            .filter(entity::Column::Id.eq(id))
            .filter(entity::Column::Owner.eq(owner))
            .exec(&self.database)
            .await?;
        Ok(())
    }

    /// Makes deliveries of changes and moves the endpoint's position from `at` to `to`, both or neither. A conflict means that
    /// another replica holds the endpoint by now.
    pub async fn add_deliveries(
        &self,
        (id, owner): (&str, &str),
        (at, to): (i64, i64),
        changes: &[ConnectionChange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.begin_write().await?;
        let moved = entity::Entity::update_many()
            .col_expr(entity::Column::Position, Expr::value(to))
            .filter(entity::Column::Id.eq(id))
            .filter(entity::Column::Owner.eq(owner))
            .filter(entity::Column::Position.eq(at))
            .exec(&transaction.inner)
            .await?;
        require_one_row(moved.rows_affected)?;
        let rows = changes.iter().map(|change| delivery::ActiveModel {
            endpoint_id: Set(id.to_owned()),
            sequence: Set(change.sequence),
            connection_name: Set(change.connection.to_string()),
            attempts: Set(0),
            next_attempt_time: Set(now.as_millis()),
            last_failure: Set(String::new()),
            give_up_time: Set(None),
        });
        if !changes.is_empty() {
            delivery::Entity::insert_many(rows).exec_without_returning(&transaction.inner).await?;
        }
        transaction.commit().await
    }

    /// How many changes an endpoint is still to be told of.
    pub async fn count_deliveries(&self, id: &str) -> Result<u64, StoreError> {
        Ok(pending(id).count(&self.database).await?)
    }

    /// Up to `limit` deliveries that are due, longest due first, and at most one per connection: its oldest, so that each
    /// connection's changes arrive in their order.
    pub async fn list_due_deliveries(
        &self,
        id: &str,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = oldest(id)
            .filter(delivery::Column::NextAttemptTime.lte(now.as_millis()))
            .order_by_asc(delivery::Column::NextAttemptTime)
            .order_by_asc(delivery::Column::Sequence)
            .limit(limit)
            .all(&self.database)
            .await?;
        let numbers: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
        let changes = connection_change::Entity::find()
            .filter(connection_change::Column::Sequence.is_in(numbers))
            .all(&self.database)
            .await?;
        let mut changes: HashMap<i64, _> = changes.into_iter().map(|row| (row.sequence, row)).collect();
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            // A change is kept for longer than its delivery is tried; one without is of no use any more.
            let Some(change) = changes.remove(&row.sequence) else {
                self.delete_delivery(id, row.sequence).await?;
                continue;
            };
            let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
            due.push(Delivery { change: change.try_into()?, attempts });
        }
        Ok(due)
    }

    /// When the next delivery is due; nothing when none is pending.
    pub async fn next_delivery_time(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = oldest(id).order_by_asc(delivery::Column::NextAttemptTime).one(&self.database).await?;
        Ok(row.map(|row| Timestamp::from_millis(row.next_attempt_time)))
    }

    /// Stores what became of attempts.
    pub async fn finish_deliveries(
        &self,
        id: &str,
        finished: &[(i64, Delivered)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let transaction = self.begin_write().await?;
        for (sequence, delivered) in finished {
            let at = (id.to_owned(), *sequence);
            let (time, reason, give_up_time) = match delivered {
                Delivered::Yes => {
                    delivery::Entity::delete_by_id(at).exec(&transaction.inner).await?;
                    continue;
                }
                Delivered::Later { time, reason } => (*time, reason, None),
                Delivered::Never { reason } => (now, reason, Some(now.as_millis())),
            };
            delivery::Entity::update_many()
                .col_expr(delivery::Column::Attempts, Expr::col(delivery::Column::Attempts).add(1))
                .col_expr(delivery::Column::NextAttemptTime, Expr::value(time.as_millis()))
                .col_expr(delivery::Column::LastFailure, Expr::value(reason.as_str()))
                .col_expr(delivery::Column::GiveUpTime, Expr::value(give_up_time))
                .filter(delivery::Column::EndpointId.eq(id))
                .filter(delivery::Column::Sequence.eq(*sequence))
                .exec(&transaction.inner)
                .await?;
        }
        transaction.commit().await
    }

    /// Clears away what was given up at or before `time`, and endpoints that nobody claimed for `unclaimed`, with all that they
    /// were still to be told of.
    pub async fn delete_old_webhooks(&self, time: Timestamp, unclaimed: Duration) -> Result<(), StoreError> {
        delivery::Entity::delete_many()
            .filter(delivery::Column::GiveUpTime.lte(time.as_millis()))
            .exec(&self.database)
            .await?;
        let (database, clock) = (&self.database, self.clock.as_ref());
        let span = i64::try_from(unclaimed.as_millis()).unwrap_or(i64::MAX / 2);
        entity::Entity::delete_many()
            .filter(Expr::col(entity::Column::ExpireTime).add(span).lte(database_time(database, clock)))
            .exec(&self.database)
            .await?;
        Ok(())
    }

    async fn delete_delivery(&self, id: &str, sequence: i64) -> Result<(), StoreError> {
        delivery::Entity::delete_by_id((id.to_owned(), sequence)).exec(&self.database).await?;
        Ok(())
    }
}

fn pending(id: &str) -> Select<delivery::Entity> {
    delivery::Entity::find()
        .filter(delivery::Column::EndpointId.eq(id))
        .filter(delivery::Column::GiveUpTime.is_null())
}

/// The oldest pending delivery of each connection.
fn oldest(id: &str) -> Select<delivery::Entity> {
    let first_of_each = pending(id)
        .select_only()
        .column_as(delivery::Column::Sequence.min(), "first")
        .group_by(delivery::Column::ConnectionName)
        .into_query();
    pending(id).filter(delivery::Column::Sequence.in_subquery(first_of_each))
}
