//! Authorizations.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use service_kit::clock::Timestamp;

use super::{
    Store, StoreError, WriteTransaction, entity::authorization as entity, error::require_one_row, places,
};
use crate::domain::{
    authorization::{Authorization, AuthorizationState, SealedCodes, StoredAuthorization, UNREADABLE},
    names::{AuthorizationName, ConnectionName},
    scopes::ScopeSet,
    sealed::Sealed,
};

const PENDING: &str = "PENDING";
const COMPLETED: &str = "COMPLETED";
const DECLINED: &str = "DECLINED";
const EXPIRED: &str = "EXPIRED";
const FAILED: &str = "FAILED";

/// When an authorization is polled next.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    /// When.
    pub next_poll_time: Timestamp,
    /// Interval from now on.
    pub interval: Duration,
}

impl Store {
    /// Reads an authorization.
    pub async fn get_authorization(
        &self,
        name: &AuthorizationName,
    ) -> Result<StoredAuthorization, StoreError> {
        let row = entity::Entity::find_by_id(name.to_string()).one(&self.database).await?;
        row.ok_or(StoreError::NotFound)?.try_into()
    }

    /// Pending authorizations that are due at `now`, longest due first.
    pub async fn list_due_authorizations(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredAuthorization>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::State.eq(PENDING))
            .filter(entity::Column::NextPollTime.lte(now.as_millis()))
            .order_by_asc(entity::Column::NextPollTime)
            .limit(limit)
            .all(&self.database)
            .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let name = row.name.clone();
            match StoredAuthorization::try_from(row) {
                Ok(authorization) => due.push(authorization),
                // One row that cannot be read must not keep all others from being polled.
                Err(error) => {
                    tracing::error!(error = %error, "a pending authorization is given up");
                    self.give_up(&name, now).await?;
                }
            }
        }
        Ok(due)
    }

    /// Ends a row that cannot be read.
    async fn give_up(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let row = ended(&AuthorizationState::Failed { cause: UNREADABLE.to_owned() }, now);
        entity::Entity::update_many()
            .set(row)
            .filter(entity::Column::Name.eq(name))
            .filter(entity::Column::State.eq(PENDING))
            .exec(&self.database)
            .await?;
        Ok(())
    }

    /// When the next pending authorization is due; nothing when none is pending.
    pub async fn next_poll_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<i64> = entity::Entity::find()
            .select_only()
            .column(entity::Column::NextPollTime)
            .filter(entity::Column::State.eq(PENDING))
            .order_by_asc(entity::Column::NextPollTime)
            .into_tuple()
            .one(&self.database)
            .await?;
        Ok(row.map(Timestamp::from_millis))
    }

    /// Sets the next poll of a pending authorization and gives its new generation. Of two that try, one gets a conflict.
    pub async fn set_next_poll(&self, at: &Authorization, poll: Poll) -> Result<i64, StoreError> {
        let generation = at.generation.saturating_add(1);
        let row = entity::ActiveModel {
            next_poll_time: Set(poll.next_poll_time.as_millis()),
            poll_interval_millis: Set(to_millis(poll.interval)),
            generation: Set(generation),
            ..Default::default()
        };
        let result = entity::Entity::update_many()
            .set(row)
            .filter(entity::Column::Name.eq(at.name.to_string()))
            .filter(entity::Column::Generation.eq(at.generation))
            .filter(entity::Column::State.eq(PENDING))
            .exec(&self.database)
            .await?;
        require_one_row(result.rows_affected)?;
        Ok(generation)
    }

    /// Deletes authorizations that ended at or before `time`, and says how many.
    pub async fn delete_ended_authorizations(&self, time: Timestamp) -> Result<u64, StoreError> {
        let result = entity::Entity::delete_many()
            .filter(entity::Column::EndTime.lte(time.as_millis()))
            .exec(&self.database)
            .await?;
        Ok(result.rows_affected)
    }

    /// How many authorizations are pending.
    pub async fn count_pending_authorizations(&self) -> Result<u64, StoreError> {
        let query = entity::Entity::find().filter(entity::Column::State.eq(PENDING));
        Ok(query.count(&self.database).await?)
    }
}

impl WriteTransaction {
    /// How many authorizations are pending.
    pub async fn count_pending_authorizations(&self) -> Result<u64, StoreError> {
        let query = entity::Entity::find().filter(entity::Column::State.eq(PENDING));
        Ok(query.count(&self.inner).await?)
    }

    /// Inserts a pending authorization.
    pub async fn insert_authorization(&self, stored: &StoredAuthorization) -> Result<(), StoreError> {
        let authorization = &stored.authorization;
        let codes = stored.codes.as_ref();
        let bytes = |sealed: &Sealed| sealed.as_bytes().to_vec();
        let row = entity::ActiveModel {
            name: Set(authorization.name.to_string()),
            connection_name: Set(authorization.connection.to_string()),
            display_name: Set(authorization.display_name.clone()),
            scopes: Set(authorization.scopes.to_string()),
            state: Set(state_text(&authorization.state).to_owned()),
            failure_cause: Set(authorization.state.cause().to_owned()),
            create_time: Set(authorization.create_time.as_millis()),
            expire_time: Set(authorization.expire_time.as_millis()),
            end_time: Set(None),
            next_poll_time: Set(authorization.next_poll_time.as_millis()),
            poll_interval_millis: Set(to_millis(authorization.poll_interval)),
            generation: Set(authorization.generation),
            data_key: Set(codes.map(|codes| bytes(&codes.data_key))),
            device_code: Set(codes.map(|codes| bytes(&codes.device_code))),
            user_code: Set(codes.map(|codes| bytes(&codes.user_code))),
        };
        entity::Entity::insert(row).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Ends a pending authorization and destroys its codes.
    pub async fn end_authorization(
        &self,
        at: &Authorization,
        state: &AuthorizationState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut row = ended(state, now);
        row.generation = Set(at.generation.saturating_add(1));
        let result = entity::Entity::update_many()
            .set(row)
            .filter(entity::Column::Name.eq(at.name.to_string()))
            .filter(entity::Column::Generation.eq(at.generation))
            .filter(entity::Column::State.eq(PENDING))
            .exec(&self.inner)
            .await?;
        require_one_row(result.rows_affected)
    }
}

/// The end of an authorization: its state, and no codes any more.
fn ended(state: &AuthorizationState, now: Timestamp) -> entity::ActiveModel {
    entity::ActiveModel {
        state: Set(state_text(state).to_owned()),
        failure_cause: Set(state.cause().to_owned()),
        end_time: Set(Some(now.as_millis())),
        data_key: Set(None),
        device_code: Set(None),
        user_code: Set(None),
        ..Default::default()
    }
}

fn state_text(state: &AuthorizationState) -> &'static str {
    match state {
        AuthorizationState::Pending => PENDING,
        AuthorizationState::Completed => COMPLETED,
        AuthorizationState::Declined => DECLINED,
        AuthorizationState::Expired => EXPIRED,
        AuthorizationState::Failed { .. } => FAILED,
    }
}

fn to_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl TryFrom<entity::Model> for StoredAuthorization {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let inconsistent = |problem| StoreError::Inconsistent {
            table: places::AUTHORIZATIONS,
            row: row.name.clone(),
            problem,
        };
        let name = AuthorizationName::parse(&row.name).ok().ok_or_else(|| inconsistent("name"))?;
        let connection = ConnectionName::parse(&row.connection_name)
            .ok()
            .ok_or_else(|| inconsistent("connection name"))?;
        let scopes = ScopeSet::parse_joined(&row.scopes).ok().ok_or_else(|| inconsistent("scopes"))?;
        let state = match row.state.as_str() {
            PENDING => AuthorizationState::Pending,
            COMPLETED => AuthorizationState::Completed,
            DECLINED => AuthorizationState::Declined,
            EXPIRED => AuthorizationState::Expired,
            FAILED => AuthorizationState::Failed { cause: row.failure_cause.clone() },
            _ => return Err(inconsistent("state")),
        };
        let interval =
            u64::try_from(row.poll_interval_millis).ok().ok_or_else(|| inconsistent("poll interval"))?;
        let codes = match (row.data_key, row.device_code, row.user_code) {
            (Some(data_key), Some(device_code), Some(user_code)) => Some(SealedCodes {
                data_key: Sealed::from_bytes(data_key),
                device_code: Sealed::from_bytes(device_code),
                user_code: Sealed::from_bytes(user_code),
            }),
            _ => None,
        };
        Ok(Self {
            authorization: Authorization {
                name,
                connection,
                display_name: row.display_name,
                scopes,
                state,
                create_time: Timestamp::from_millis(row.create_time),
                expire_time: Timestamp::from_millis(row.expire_time),
                next_poll_time: Timestamp::from_millis(row.next_poll_time),
                poll_interval: Duration::from_millis(interval),
                generation: row.generation,
            },
            codes,
        })
    }
}
