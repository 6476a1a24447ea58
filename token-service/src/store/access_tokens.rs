//! Shared access tokens: one per connection and set of scopes.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, sea_query::OnConflict,
};
use service_kit::clock::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, WriteTransaction, entity::access_token as entity, places};
use crate::domain::{names::ConnectionName, scopes::ScopeSet, sealed::Sealed};

/// Most sets of scopes of one connection whose tokens are kept; the ones that end first make room.
pub const MAX_SCOPE_SETS: u64 = 32;

/// A shared access token as it is stored.
#[derive(Clone, Debug)]
pub struct StoredAccessToken {
    /// The connection.
    pub connection: ConnectionName,
    /// Names the set of scopes asked for, see [`scope_key`].
    pub scope_key: String,
    /// How to present the token.
    pub token_type: String,
    /// Scopes the provider granted.
    pub granted_scopes: ScopeSet,
    /// When it was obtained.
    pub obtain_time: Timestamp,
    /// When it ends.
    pub expire_time: Timestamp,
    /// When the provider advises to replace it, where it does.
    pub advised_refresh_time: Option<Timestamp>,
    /// Generation of the connection that it was sealed at.
    pub generation: i64,
    /// The token, sealed by the connection's data key.
    pub access_token: Sealed,
}

/// Names a set of scopes with a fixed length: SHA-256 of its text, in hexadecimal.
pub fn scope_key(scopes: &ScopeSet) -> String {
    let digest = Sha256::digest(scopes.to_string().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0')));
        text
    })
}

/// Names the row in associated data.
pub fn access_token_row(connection: &ConnectionName, scope_key: &str) -> String {
    format!("{connection} {scope_key}")
}

impl Store {
    /// Reads the shared access token of a connection and a set of scopes.
    pub async fn find_access_token(
        &self,
        connection: &ConnectionName,
        scope_key: &str,
    ) -> Result<Option<StoredAccessToken>, StoreError> {
        let id = (connection.to_string(), scope_key.to_owned());
        let row = entity::Entity::find_by_id(id).one(&self.database).await?;
        row.map(StoredAccessToken::try_from).transpose()
    }
}

impl WriteTransaction {
    /// Stores an access token in place of its predecessor, and lets go of tokens that have ended or are too many.
    pub async fn replace_access_token(
        &self,
        token: &StoredAccessToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            connection_name: Set(token.connection.to_string()),
            scope_key: Set(token.scope_key.clone()),
            token_type: Set(token.token_type.clone()),
            granted_scopes: Set(token.granted_scopes.to_string()),
            obtain_time: Set(token.obtain_time.as_millis()),
            expire_time: Set(token.expire_time.as_millis()),
            refresh_after_time: Set(token.advised_refresh_time.map(Timestamp::as_millis)),
            generation: Set(token.generation),
            access_token: Set(token.access_token.as_bytes().to_vec()),
        };
        let replace = OnConflict::columns([entity::Column::ConnectionName, entity::Column::ScopeKey])
            .update_columns([
                entity::Column::TokenType,
                entity::Column::GrantedScopes,
                entity::Column::ObtainTime,
                entity::Column::ExpireTime,
                entity::Column::RefreshAfterTime,
                entity::Column::Generation,
                entity::Column::AccessToken,
            ])
            .to_owned();
        entity::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.inner).await?;
        self.prune_access_tokens(token, now).await
    }

    /// Deletes the access token of a connection and a set of scopes that was stored at a generation, if it is still there.
    pub async fn delete_access_token(
        &self,
        connection: &ConnectionName,
        scope_key: &str,
        generation: i64,
    ) -> Result<(), StoreError> {
        entity::Entity::delete_by_id((connection.to_string(), scope_key.to_owned()))
            .filter(entity::Column::Generation.eq(generation))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Deletes the access tokens of a connection.
    pub async fn delete_access_tokens(&self, connection: &ConnectionName) -> Result<(), StoreError> {
        entity::Entity::delete_many()
            .filter(entity::Column::ConnectionName.eq(connection.to_string()))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    async fn prune_access_tokens(&self, kept: &StoredAccessToken, now: Timestamp) -> Result<(), StoreError> {
        let others = Condition::all()
            .add(entity::Column::ConnectionName.eq(kept.connection.to_string()))
            .add(entity::Column::ScopeKey.ne(kept.scope_key.as_str()));
        entity::Entity::delete_many()
            .filter(others.clone())
            .filter(entity::Column::ExpireTime.lte(now.as_millis()))
            .exec(&self.inner)
            .await?;
        let surplus: Vec<String> = entity::Entity::find()
            .select_only()
            .column(entity::Column::ScopeKey)
            .filter(others.clone())
            .order_by_desc(entity::Column::ExpireTime)
            .offset(MAX_SCOPE_SETS - 1)
            .limit(MAX_SCOPE_SETS)
            .into_tuple()
            .all(&self.inner)
            .await?;
        if !surplus.is_empty() {
            entity::Entity::delete_many()
                .filter(others)
                .filter(entity::Column::ScopeKey.is_in(surplus))
                .exec(&self.inner)
                .await?;
        }
        Ok(())
    }
}

impl TryFrom<entity::Model> for StoredAccessToken {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let inconsistent = |problem| StoreError::Inconsistent {
            table: places::ACCESS_TOKENS,
            row: row.connection_name.clone(),
            problem,
        };
        let connection = ConnectionName::parse(&row.connection_name)
            .ok()
            .ok_or_else(|| inconsistent("connection name"))?;
        let granted_scopes =
            ScopeSet::parse_joined(&row.granted_scopes).ok().ok_or_else(|| inconsistent("granted scopes"))?;
        Ok(Self {
            connection,
            scope_key: row.scope_key,
            token_type: row.token_type,
            granted_scopes,
            obtain_time: Timestamp::from_millis(row.obtain_time),
            expire_time: Timestamp::from_millis(row.expire_time),
            advised_refresh_time: row.refresh_after_time.map(Timestamp::from_millis),
            generation: row.generation,
            access_token: Sealed::from_bytes(row.access_token),
        })
    }
}
