//! The sequence of state changes, from which replicas learn what to forget and watchers what happened.
//!
//! Every change locks the one row of the counter until its transaction ends, so numbers become visible in their order and a
//! reader that has seen a number has seen all before it. Rotations of tokens are not state changes and cost nothing here.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement,
    sea_query::{Expr, ExprTrait as _},
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    Store, StoreError, WriteTransaction,
    connections::{state_from_text, state_text},
    entity::{change_counter, connection_change as entity},
    error::require_one_row,
    notifications::{CHANGED, CHANNEL, REFRESHED},
    places,
};
use crate::domain::{
    connection::{Connection, ConnectionState},
    names::ConnectionName,
};

/// Id of the counter's row.
const COUNTER: i64 = 1;

/// A state change of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionChange {
    /// Its number; later changes have higher ones.
    pub sequence: i64,
    /// The connection.
    pub connection: ConnectionName,
    /// Its state after the change; nothing when it was deleted.
    pub state: Option<ConnectionState>,
    /// Since when it was in that state.
    pub state_time: Timestamp,
    /// When the change was made.
    pub change_time: Timestamp,
}

/// How far changes are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeCount {
    /// Number of the latest change; 0 before the first.
    pub latest: i64,
    /// Changes up to this number were cleared away.
    pub pruned: i64,
}

impl Store {
    /// How far changes are counted.
    pub async fn change_count(&self) -> Result<ChangeCount, StoreError> {
        let row = change_counter::Entity::find_by_id(COUNTER).one(&self.database).await?;
        let row = row.ok_or_else(no_counter)?;
        Ok(ChangeCount { latest: row.latest, pruned: row.pruned })
    }

    /// Up to `limit` changes after a number, of one tenant or of all, in their order.
    pub async fn list_changes(
        &self,
        after: i64,
        tenant: Option<&ResourceId>,
        limit: u64,
    ) -> Result<Vec<ConnectionChange>, StoreError> {
        let mut query = entity::Entity::find()
            .filter(entity::Column::Sequence.gt(after))
            .order_by_asc(entity::Column::Sequence)
            .limit(limit);
        if let Some(tenant) = tenant {
            query = query.filter(entity::Column::Tenant.eq(tenant.as_str()));
        }
        let rows = query.all(&self.database).await?;
        rows.into_iter().map(ConnectionChange::try_from).collect()
    }

    /// Clears away changes made at or before `time`, and says how many.
    pub async fn delete_changes(&self, time: Timestamp) -> Result<u64, StoreError> {
        let transaction = self.begin_write().await?;
        let last: Option<i64> = entity::Entity::find()
            .select_only()
            .column(entity::Column::Sequence)
            .filter(entity::Column::ChangeTime.lte(time.as_millis()))
            .order_by_desc(entity::Column::Sequence)
            .into_tuple()
            .one(&transaction.inner)
            .await?;
        let Some(last) = last else { return Ok(0) };
        let deleted = entity::Entity::delete_many()
            .filter(entity::Column::Sequence.lte(last))
            .exec(&transaction.inner)
            .await?;
        change_counter::Entity::update_many()
            .col_expr(change_counter::Column::Pruned, Expr::value(last))
            .filter(change_counter::Column::Id.eq(COUNTER))
            .filter(change_counter::Column::Pruned.lt(last))
            .exec(&transaction.inner)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected)
    }
}

impl WriteTransaction {
    /// Records the state that a connection has from now on. To be called last in a transaction: it queues behind all others
    /// that record a change.
    pub async fn record_state(
        &self,
        connection: &Connection,
        state: &ConnectionState,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            state: Set(state_text(state.kind()).to_owned()),
            state_cause: Set(state.cause().to_owned()),
            state_time: Set(since.as_millis()),
            deleted: Set(false),
            ..Default::default()
        };
        self.record(&connection.name, row, now).await
    }

    /// Records that a connection is gone. As [`record_state`](Self::record_state), to be called last.
    pub async fn record_deletion(
        &self,
        connection: &ConnectionName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            state: Set(String::new()),
            state_cause: Set(String::new()),
            state_time: Set(now.as_millis()),
            deleted: Set(true),
            ..Default::default()
        };
        self.record(connection, row, now).await
    }

    async fn record(
        &self,
        connection: &ConnectionName,
        mut row: entity::ActiveModel,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let counted = change_counter::Entity::update_many()
            .col_expr(change_counter::Column::Latest, Expr::col(change_counter::Column::Latest).add(1))
            .filter(change_counter::Column::Id.eq(COUNTER))
            .exec(&self.inner)
            .await?;
        require_one_row(counted.rows_affected).map_err(|_missing| no_counter())?;
        let at = change_counter::Entity::find_by_id(COUNTER).one(&self.inner).await?;
        row.sequence = Set(at.ok_or_else(no_counter)?.latest);
        row.connection_name = Set(connection.to_string());
        row.tenant = Set(connection.tenant().to_string());
        row.change_time = Set(now.as_millis());
        entity::Entity::insert(row).exec_without_returning(&self.inner).await?;
        self.announce(CHANGED, connection).await
    }

    /// Wakes whoever waits for a refresh of this connection, once the transaction is durable.
    pub(super) async fn announce_refresh(&self, connection: &ConnectionName) -> Result<(), StoreError> {
        self.announce(REFRESHED, connection).await
    }

    /// PostgreSQL delivers it at the commit; SQLite has no such thing, and its users poll.
    async fn announce(&self, kind: &str, connection: &ConnectionName) -> Result<(), StoreError> {
        if self.inner.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let payload = format!("{kind} {connection}");
        let notify = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_notify($1, $2)",
            [CHANNEL.into(), payload.into()],
        );
        self.inner.execute_raw(notify).await?;
        Ok(())
    }
}

fn no_counter() -> StoreError {
    StoreError::Inconsistent {
        table: "connection_change_counter",
        row: COUNTER.to_string(),
        problem: "the row is missing",
    }
}

impl TryFrom<entity::Model> for ConnectionChange {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let inconsistent = |problem| StoreError::Inconsistent {
            table: places::CONNECTION_CHANGES,
            row: row.sequence.to_string(),
            problem,
        };
        let connection = ConnectionName::parse(&row.connection_name)
            .ok()
            .ok_or_else(|| inconsistent("connection name"))?;
        let state = if row.deleted {
            None
        } else {
            let state = state_from_text(&row.state, &row.state_cause);
            Some(state.ok_or_else(|| inconsistent("state"))?)
        };
        Ok(Self {
            sequence: row.sequence,
            connection,
            state,
            state_time: Timestamp::from_millis(row.state_time),
            change_time: Timestamp::from_millis(row.change_time),
        })
    }
}
