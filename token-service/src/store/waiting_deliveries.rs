//! What webhook endpoints were not told, for operators to see.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    ConnectionChange, Store, StoreError,
    entity::{connection_change, webhook_delivery as entity},
};
use crate::domain::names::ConnectionName;

/// For errors.
const TABLE: &str = "webhook_deliveries";

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only of this tenant's connections.
    pub tenant: Option<ResourceId>,
    /// Only those that were given up, or only those that are still tried.
    pub given_up: Option<bool>,
}

/// A change that an endpoint does not know.
#[derive(Clone, Debug)]
pub struct WaitingDelivery {
    /// The endpoint.
    pub endpoint: String,
    /// Number of the change.
    pub sequence: i64,
    /// The connection.
    pub connection: ConnectionName,
    /// The change, as long as changes are kept.
    pub change: Option<ConnectionChange>,
    /// Attempts that failed.
    pub attempts: u32,
    /// What failed last, safe to show; empty before the first attempt.
    pub last_failure: String,
    /// When it is tried again, unless it was given up.
    pub next_attempt_time: Timestamp,
    /// When it was given up; nothing while it is still tried.
    pub give_up_time: Option<Timestamp>,
}

impl Store {
    /// Up to `limit` deliveries after an endpoint and a number, ordered by both.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<(&str, i64)>,
        limit: u64,
    ) -> Result<Vec<WaitingDelivery>, StoreError> {
        let mut query = entity::Entity::find()
            .order_by_asc(entity::Column::EndpointId)
            .order_by_asc(entity::Column::Sequence)
            .limit(limit);
        if let Some(tenant) = &filter.tenant {
            query = query.filter(entity::Column::ConnectionName.starts_with(format!("tenants/{tenant}/")));
        }
        query = match filter.given_up {
            Some(true) => query.filter(entity::Column::GiveUpTime.is_not_null()),
            Some(false) => query.filter(entity::Column::GiveUpTime.is_null()),
            None => query,
        };
        if let Some((endpoint, sequence)) = after {
            let same = Condition::all()
                .add(entity::Column::EndpointId.eq(endpoint))
                .add(entity::Column::Sequence.gt(sequence));
            query = query.filter(Condition::any().add(entity::Column::EndpointId.gt(endpoint)).add(same));
        }
        let rows = query.all(&self.database).await?;
        let numbers: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
        let changes = connection_change::Entity::find()
            .filter(connection_change::Column::Sequence.is_in(numbers))
            .all(&self.database)
            .await?;
        let changes: HashMap<i64, _> = changes.into_iter().map(|row| (row.sequence, row)).collect();
        let waiting = |row: entity::Model| {
            let change = changes.get(&row.sequence).cloned().map(ConnectionChange::try_from).transpose()?;
            Ok(WaitingDelivery {
                connection: ConnectionName::parse(&row.connection_name).map_err(|_bad_name| {
                    StoreError::Inconsistent {
                        table: TABLE,
                        row: row.sequence.to_string(),
                        problem: "connection name",
                    }
                })?,
                endpoint: row.endpoint_id,
                sequence: row.sequence,
                change,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                last_failure: row.last_failure,
                next_attempt_time: Timestamp::from_millis(row.next_attempt_time),
                give_up_time: row.give_up_time.map(Timestamp::from_millis),
            })
        };
        rows.into_iter().map(waiting).collect()
    }
}
