//! Leases: which replica may ask the provider about a connection.
//!
//! Their times are the database's: replicas whose clocks differ must not take each other's lease. SQLite has no clock of its own
//! but the machine's, which all its users share.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, SimpleExpr},
};
use service_kit::clock::{Clock, Timestamp};

use super::{Store, StoreError, WriteTransaction, entity::refresh_lease as entity, error::require_one_row};
use crate::domain::{
    names::ConnectionName,
    refresh_lease::{Aftermath, Lease, LeaseRecord, Pause, PauseReason},
};

const UNAVAILABLE: &str = "UNAVAILABLE";
const THROTTLED: &str = "THROTTLED";
/// Whoever has the lease between refreshes.
const NOBODY: &str = "";

#[derive(FromQueryResult)]
struct Row {
    owner: String,
    epoch: i64,
    expire_time: i64,
    losses: i64,
    loss_time: i64,
    retry_time: i64,
    retry_reason: String,
    retry_cause: String,
    database_time: i64,
}

impl Store {
    /// Reads the lease of a connection; nothing when it was never refreshed.
    pub async fn find_lease(&self, connection: &ConnectionName) -> Result<Option<LeaseRecord>, StoreError> {
        find(&self.database, self.clock.as_ref(), select_one(connection)).await
    }

    /// Those of the named connections whose last refresh has an unknown outcome, with the time that was noticed.
    pub async fn list_unknown_outcomes(
        &self,
        connections: &[ConnectionName],
    ) -> Result<Vec<(ConnectionName, Option<Timestamp>)>, StoreError> {
        #[derive(FromQueryResult)]
        struct Unknown {
            connection_name: String,
            loss_time: i64,
        }
        let now = database_time(&self.database, self.clock.as_ref());
        let is_abandoned =
            entity::Column::Owner.ne(NOBODY).and(Expr::col(entity::Column::ExpireTime).lte(now));
        let rows = entity::Entity::find()
            .select_only()
            .columns([entity::Column::ConnectionName, entity::Column::LossTime])
            .filter(entity::Column::ConnectionName.is_in(connections.iter().map(ToString::to_string)))
            .filter(entity::Column::Losses.gt(0).or(is_abandoned))
            .into_model::<Unknown>()
            .all(&self.database)
            .await?;
        let known = |row: Unknown| {
            let time = (row.loss_time > 0).then(|| Timestamp::from_millis(row.loss_time));
            ConnectionName::parse(&row.connection_name).ok().map(|name| (name, time))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }
}

impl WriteTransaction {
    /// Reads the lease of a connection and keeps others from changing it until the transaction ends.
    pub async fn lock_lease(&self, connection: &ConnectionName) -> Result<Option<LeaseRecord>, StoreError> {
        find(&self.inner, self.clock.as_ref(), select_one(connection).lock_exclusive()).await
    }

    /// Takes a lease that is at `at` for `length`. Of two that try, one gets a conflict, or learns that the
    /// row exists.
    pub async fn take_lease(
        &self,
        connection: &ConnectionName,
        at: Option<&LeaseRecord>,
        owner: &str,
        length: Duration,
        aftermath: &Aftermath,
    ) -> Result<Lease, StoreError> {
        let lease = Lease { epoch: at.map_or(1, |at| at.epoch.saturating_add(1)), losses: aftermath.losses };
        let expire_time = in_database_time(&self.inner, self.clock.as_ref(), length);
        let mut row = with_aftermath(aftermath);
        row.owner = Set(owner.to_owned());
        row.epoch = Set(lease.epoch);
        let Some(at) = at else {
            row.connection_name = Set(connection.to_string());
            row.expire_time = Set(0);
            let inserted = entity::Entity::insert(row).exec_without_returning(&self.inner).await;
            inserted.map_err(StoreError::from)?;
            self.set_lease_expiry(connection, expire_time).await?;
            return Ok(lease);
        };
        let result = entity::Entity::update_many()
            .set(row)
            .col_expr(entity::Column::ExpireTime, expire_time)
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .filter(entity::Column::Epoch.eq(at.epoch))
            .exec(&self.inner)
            .await?;
        require_one_row(result.rows_affected)?;
        Ok(lease)
    }

    /// Gives a lease back with what the refresh left behind, and wakes whoever waits for it. Says whether it still was this
    /// owner's: a lease that somebody else took is left alone.
    pub async fn release_lease(
        &self,
        connection: &ConnectionName,
        owner: &str,
        lease: &Lease,
        aftermath: &Aftermath,
    ) -> Result<bool, StoreError> {
        let mut row = with_aftermath(aftermath);
        row.owner = Set(NOBODY.to_owned());
        let result = entity::Entity::update_many()
            .set(row)
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .filter(entity::Column::Owner.eq(owner))
            .filter(entity::Column::Epoch.eq(lease.epoch))
            .exec(&self.inner)
            .await?;
        self.announce_refresh(connection).await?;
        Ok(result.rows_affected == 1)
    }

    /// Forgets what earlier refreshes left behind, also one that vanished without a word: the credential is a new one.
    pub async fn clear_aftermath(&self, connection: &ConnectionName) -> Result<(), StoreError> {
        entity::Entity::update_many()
            .set(with_aftermath(&Aftermath::default()))
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .exec(&self.inner)
            .await?;
        let now = database_time(&self.inner, self.clock.as_ref());
        entity::Entity::update_many()
            .col_expr(entity::Column::Owner, Expr::value(NOBODY))
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .filter(Expr::col(entity::Column::ExpireTime).lte(now))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    async fn set_lease_expiry(
        &self,
        connection: &ConnectionName,
        time: SimpleExpr,
    ) -> Result<(), StoreError> {
        let result = entity::Entity::update_many()
            .col_expr(entity::Column::ExpireTime, time)
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .exec(&self.inner)
            .await?;
        require_one_row(result.rows_affected)
    }
}

fn select_one(connection: &ConnectionName) -> Select<entity::Entity> {
    entity::Entity::find_by_id(connection.to_string())
}

async fn find<C: ConnectionTrait>(
    database: &C,
    clock: &dyn Clock,
    select: Select<entity::Entity>,
) -> Result<Option<LeaseRecord>, StoreError> {
    let now = database_time(database, clock);
    let row = select.column_as(now, "database_time").into_model::<Row>().one(database).await?;
    Ok(row.map(LeaseRecord::from))
}

/// The database's clock in milliseconds since the Unix epoch.
pub(super) fn database_time<C: ConnectionTrait>(database: &C, clock: &dyn Clock) -> SimpleExpr {
    if database.get_database_backend() == DbBackend::Postgres {
        Expr::cust("CAST(extract(epoch from clock_timestamp()) * 1000 AS BIGINT)")
    } else {
        Expr::value(clock.now().as_millis())
    }
}

/// The database's clock, `span` from now.
pub(super) fn in_database_time<C: ConnectionTrait>(
    database: &C,
    clock: &dyn Clock,
    span: Duration,
) -> SimpleExpr {
    database_time(database, clock).add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 2))
}

fn with_aftermath(aftermath: &Aftermath) -> entity::ActiveModel {
    let pause = aftermath.pause.as_ref();
    let reason = |pause: &Pause| match pause.reason {
        PauseReason::Unavailable => UNAVAILABLE,
        PauseReason::Throttled => THROTTLED,
    };
    entity::ActiveModel {
        losses: Set(i64::from(aftermath.losses)),
        loss_time: Set(aftermath.loss_time.map_or(0, Timestamp::as_millis)),
        retry_time: Set(pause.map_or(0, |pause| pause.until.as_millis())),
        retry_reason: Set(pause.map_or("", reason).to_owned()),
        retry_cause: Set(pause.map(|pause| pause.cause.clone()).unwrap_or_default()),
        ..Default::default()
    }
}

impl From<Row> for LeaseRecord {
    fn from(row: Row) -> Self {
        let reason = match row.retry_reason.as_str() {
            UNAVAILABLE => Some(PauseReason::Unavailable),
            THROTTLED => Some(PauseReason::Throttled),
            _ => None,
        };
        let until = Timestamp::from_millis(row.retry_time);
        Self {
            owner: (row.owner != NOBODY).then_some(row.owner),
            epoch: row.epoch,
            is_expired: row.expire_time <= row.database_time,
            aftermath: Aftermath {
                losses: u32::try_from(row.losses).unwrap_or(u32::MAX),
                loss_time: (row.loss_time > 0).then(|| Timestamp::from_millis(row.loss_time)),
                pause: reason.map(|reason| Pause { until, reason, cause: row.retry_cause }),
            },
        }
    }
}
