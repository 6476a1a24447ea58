//! Connections.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    Store, StoreError, WriteTransaction, entity::connection as entity, error::require_one_row, places,
};
use crate::domain::{
    account::Account,
    connection::{Connection, ConnectionState, SealedCredential, StateKind, StoredConnection},
    names::ConnectionName,
    scopes::ScopeSet,
    sealed::Sealed,
};

/// Which row a write is based on.
#[derive(Clone, Copy, Debug)]
pub struct RowVersion<'a> {
    /// Name of the connection.
    pub name: &'a ConnectionName,
    /// Which of those that ever had this name.
    pub uid: &'a str,
    /// Its generation as it was read.
    pub generation: i64,
}

impl<'a> From<&'a Connection> for RowVersion<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self { name: &connection.name, uid: &connection.uid, generation: connection.generation }
    }
}

/// A refresh token that takes the place of another.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The token, sealed for `generation`.
    pub refresh_token: Sealed,
    /// Generation of the row from now on.
    pub generation: i64,
    /// When it was obtained.
    pub refresh_time: Timestamp,
    /// Since when the connection is active.
    pub active_since: Timestamp,
}

/// Which connections to list.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFilter {
    /// Only of this tenant.
    pub tenant: Option<ResourceId>,
    /// Only in this state.
    pub state: Option<StateKind>,
}

impl Store {
    /// Reads a connection.
    pub async fn get_connection(&self, name: &ConnectionName) -> Result<StoredConnection, StoreError> {
        find(&self.database, name).await
    }

    /// Lists up to `limit` connections in the order of their names, after the name `after`.
    pub async fn list_connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Connection>, StoreError> {
        let mut query = entity::Entity::find().order_by_asc(entity::Column::Name).limit(limit);
        if let Some(tenant) = &filter.tenant {
            query = query.filter(entity::Column::Tenant.eq(tenant.as_str()));
        }
        if let Some(state) = filter.state {
            query = query.filter(entity::Column::State.eq(state_text(state)));
        }
        if let Some(after) = after {
            query = query.filter(entity::Column::Name.gt(after));
        }
        let rows = query.all(&self.database).await?;
        rows.into_iter().map(|row| StoredConnection::try_from(row).map(|stored| stored.connection)).collect()
    }
}

impl Store {
    /// Up to `limit` active connections of an app that were last refreshed at or before `since`, longest ago first.
    pub async fn list_idle_connections(
        &self,
        client_id: &str,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Connection>, StoreError> {
        let rows = entity::Entity::find()
            .filter(entity::Column::State.eq(state_text(StateKind::Active)))
            .filter(entity::Column::ClientId.eq(client_id))
            .filter(entity::Column::RefreshTime.lte(since.as_millis()))
            .order_by_asc(entity::Column::RefreshTime)
            .limit(limit)
            .all(&self.database)
            .await?;
        rows.into_iter().map(|row| StoredConnection::try_from(row).map(|stored| stored.connection)).collect()
    }
}

impl WriteTransaction {
    /// Reads a connection.
    pub async fn get_connection(&self, name: &ConnectionName) -> Result<StoredConnection, StoreError> {
        find(&self.inner, name).await
    }

    /// Inserts a connection.
    pub async fn insert_connection(&self, stored: &StoredConnection) -> Result<(), StoreError> {
        let row = to_row(stored);
        entity::Entity::insert(row).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Replaces everything about a connection that a new sign-in brings: credential, scopes, app, account, state. Its name and
    /// the time it was made stay.
    pub async fn replace_connection(
        &self,
        at: RowVersion<'_>,
        stored: &StoredConnection,
    ) -> Result<(), StoreError> {
        let mut row = to_row(stored);
        row.name = NotSet;
        row.tenant = NotSet;
        row.create_time = NotSet;
        self.update(at, row).await
    }

    /// Replaces the refresh token by its successor. That the provider accepted it makes the connection active.
    pub async fn replace_refresh_token(
        &self,
        at: RowVersion<'_>,
        successor: &Successor,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            refresh_token: Set(successor.refresh_token.as_bytes().to_vec()),
            refresh_token_generation: Set(successor.generation),
            refresh_time: Set(Some(successor.refresh_time.as_millis())),
            state: Set(state_text(StateKind::Active).to_owned()),
            state_cause: Set(String::new()),
            state_time: Set(successor.active_since.as_millis()),
            generation: Set(successor.generation),
            ..Default::default()
        };
        self.update(at, row).await
    }

    /// Changes the state and nothing else.
    pub async fn set_connection_state(
        &self,
        at: RowVersion<'_>,
        state: &ConnectionState,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            state: Set(state_text(state.kind()).to_owned()),
            state_cause: Set(state.cause().to_owned()),
            state_time: Set(since.as_millis()),
            generation: Set(at.generation.saturating_add(1)),
            ..Default::default()
        };
        self.update(at, row).await
    }

    /// Deletes a connection; its access tokens go with it.
    pub async fn delete_connection(&self, name: &ConnectionName) -> Result<(), StoreError> {
        self.delete_access_tokens(name).await?;
        let result = entity::Entity::delete_by_id(name.to_string()).exec(&self.inner).await?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::NotFound) }
    }

    async fn update(&self, at: RowVersion<'_>, row: entity::ActiveModel) -> Result<(), StoreError> {
        let result = entity::Entity::update_many()
            .set(row)
            .filter(entity::Column::Name.eq(at.name.to_string()))
            .filter(entity::Column::Uid.eq(at.uid))
            .filter(entity::Column::Generation.eq(at.generation))
            .exec(&self.inner)
            .await?;
        require_one_row(result.rows_affected)
    }
}

async fn find<C: ConnectionTrait>(
    database: &C,
    name: &ConnectionName,
) -> Result<StoredConnection, StoreError> {
    let row = entity::Entity::find_by_id(name.to_string()).one(database).await?;
    row.ok_or(StoreError::NotFound)?.try_into()
}

pub(super) fn state_text(state: StateKind) -> &'static str {
    match state {
        StateKind::Active => "ACTIVE",
        StateKind::NeedsReauth => "NEEDS_REAUTH",
        StateKind::Blocked => "BLOCKED",
        StateKind::Revoked => "REVOKED",
    }
}

pub(super) fn state_from_text(state: &str, cause: &str) -> Option<ConnectionState> {
    match state {
        "ACTIVE" => Some(ConnectionState::Active),
        "NEEDS_REAUTH" => Some(ConnectionState::NeedsReauth { cause: cause.to_owned() }),
        "BLOCKED" => Some(ConnectionState::Blocked { cause: cause.to_owned() }),
        "REVOKED" => Some(ConnectionState::Revoked),
        _ => None,
    }
}

fn to_row(stored: &StoredConnection) -> entity::ActiveModel {
    let connection = &stored.connection;
    let account = connection.account.as_ref();
    entity::ActiveModel {
        name: Set(connection.name.to_string()),
        tenant: Set(connection.name.tenant().to_string()),
        uid: Set(connection.uid.clone()),
        display_name: Set(connection.display_name.clone()),
        provider: Set(connection.provider.clone()),
        client_id: Set(connection.client_id.clone()),
        scopes: Set(connection.scopes.to_string()),
        account_directory_id: Set(account.map(|account| account.directory_id.clone())),
        account_object_id: Set(account.map(|account| account.object_id.clone())),
        account_username: Set(account.map(|account| account.username.clone())),
        state: Set(state_text(connection.state.kind()).to_owned()),
        state_cause: Set(connection.state.cause().to_owned()),
        state_time: Set(connection.state_time.as_millis()),
        create_time: Set(connection.create_time.as_millis()),
        refresh_time: Set(connection.refresh_time.map(Timestamp::as_millis)),
        generation: Set(connection.generation),
        data_key: Set(stored.credential.data_key.as_bytes().to_vec()),
        data_key_version: Set(stored.credential.data_key_version),
        refresh_token: Set(stored.credential.refresh_token.as_bytes().to_vec()),
        refresh_token_generation: Set(stored.credential.refresh_token_generation),
    }
}

impl TryFrom<entity::Model> for StoredConnection {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let inconsistent =
            |problem| StoreError::Inconsistent { table: places::CONNECTIONS, row: row.name.clone(), problem };
        let name = ConnectionName::parse(&row.name).ok().ok_or_else(|| inconsistent("name"))?;
        let scopes = ScopeSet::parse_joined(&row.scopes).ok().ok_or_else(|| inconsistent("scopes"))?;
        let state = state_from_text(&row.state, &row.state_cause).ok_or_else(|| inconsistent("state"))?;
        let account = match (&row.account_directory_id, &row.account_object_id) {
            (Some(directory_id), Some(object_id)) => Some(Account {
                directory_id: directory_id.clone(),
                object_id: object_id.clone(),
                username: row.account_username.clone().unwrap_or_default(),
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(inconsistent("account")),
        };
        Ok(Self {
            connection: Connection {
                name,
                uid: row.uid,
                display_name: row.display_name,
                provider: row.provider,
                client_id: row.client_id,
                scopes,
                account,
                state,
                state_time: Timestamp::from_millis(row.state_time),
                create_time: Timestamp::from_millis(row.create_time),
                refresh_time: row.refresh_time.map(Timestamp::from_millis),
                generation: row.generation,
            },
            credential: SealedCredential {
                data_key: Sealed::from_bytes(row.data_key),
                data_key_version: row.data_key_version,
                refresh_token: Sealed::from_bytes(row.refresh_token),
                refresh_token_generation: row.refresh_token_generation,
            },
        })
    }
}
