//! Which secret is sealed where: the only file that pairs rows with associated data.

use std::sync::Arc;

use service_kit::{clock::Timestamp, secret::SecretString};

use super::OpError;
use crate::{
    crypto::{CryptoError, DataKey, KeySource, Place},
    domain::{
        authorization::SealedCodes,
        connection::{SealedCredential, StoredConnection},
        names::{AuthorizationName, ConnectionName},
        sealed::Sealed,
        token::{AccessToken, TokenHash, TokenKind},
    },
    provider::TokenGrant,
    store::{StoredAccessToken, access_token_row, places},
};

/// Seals and opens the secrets of rows.
pub(super) struct Custody {
    keys: Arc<dyn KeySource>,
}

/// A new access token of a connection, in memory and as it is stored.
pub(super) struct NewAccessToken {
    pub(super) token: Arc<AccessToken>,
    pub(super) stored: StoredAccessToken,
}

impl Custody {
    pub(super) fn new(keys: Arc<dyn KeySource>) -> Self {
        Self { keys }
    }

    /// Seals a refresh token under a new data key.
    pub(super) async fn new_credential(
        &self,
        connection: &ConnectionName,
        generation: i64,
        data_key_version: i64,
        refresh_token: &SecretString,
    ) -> Result<(DataKey, SealedCredential), OpError> {
        let row = connection.to_string();
        let sealed = async {
            let data_key = DataKey::generate(data_key_version)?;
            let wrapped = data_key.wrap(self.keys.as_ref(), &data_key_place(&row, data_key_version)).await?;
            let refresh_token = data_key.seal(&refresh_token_place(&row, generation), refresh_token)?;
            Ok((data_key, wrapped, refresh_token))
        };
        let (data_key, wrapped, refresh_token) = sealed.await.map_err(at(&row))?;
        let credential = SealedCredential {
            data_key: wrapped,
            data_key_version,
            refresh_token,
            refresh_token_generation: generation,
        };
        Ok((data_key, credential))
    }

    /// Opens the data key of a connection.
    pub(super) async fn data_key(&self, stored: &StoredConnection) -> Result<DataKey, OpError> {
        let row = stored.connection.name.to_string();
        let version = stored.credential.data_key_version;
        let place = data_key_place(&row, version);
        DataKey::unwrap(self.keys.as_ref(), version, &stored.credential.data_key, &place)
            .await
            .map_err(at(&row))
    }

    /// Opens the refresh token of a connection.
    pub(super) fn open_refresh_token(
        data_key: &DataKey,
        stored: &StoredConnection,
    ) -> Result<SecretString, OpError> {
        let row = stored.connection.name.to_string();
        let place = refresh_token_place(&row, stored.credential.refresh_token_generation);
        data_key.open(&place, &stored.credential.refresh_token).map_err(at(&row))
    }

    /// Seals a refresh token for the generation it will be stored at.
    pub(super) fn seal_refresh_token(
        data_key: &DataKey,
        connection: &ConnectionName,
        generation: i64,
        refresh_token: &SecretString,
    ) -> Result<Sealed, OpError> {
        let row = connection.to_string();
        data_key.seal(&refresh_token_place(&row, generation), refresh_token).map_err(at(&row))
    }

    /// Takes the access token out of a grant and seals it for the generation it will be stored at.
    pub(super) fn new_access_token(
        data_key: &DataKey,
        slot: &TokenSlot<'_>,
        generation: i64,
        grant: &TokenGrant,
        now: Timestamp,
    ) -> Result<NewAccessToken, OpError> {
        let row = access_token_row(slot.connection, slot.scope_key);
        let sealed =
            data_key.seal(&access_token_place(&row, generation), &grant.access_token).map_err(at(&row))?;
        let token = AccessToken {
            hash: TokenHash::of(&grant.access_token),
            value: Arc::clone(&grant.access_token),
            kind: Arc::new(TokenKind {
                token_type: grant.token_type.clone(),
                scopes: grant.scopes.clone().unwrap_or_else(|| slot.scopes.clone()),
            }),
            obtain_time: now,
            expire_time: now.saturating_add(grant.lifetime),
            advised_refresh_time: grant.refresh_in.map(|advised| now.saturating_add(advised)),
        };
        let stored = StoredAccessToken {
            connection: slot.connection.clone(),
            scope_key: slot.scope_key.to_owned(),
            token_type: token.kind.token_type.clone(),
            granted_scopes: token.kind.scopes.clone(),
            obtain_time: token.obtain_time,
            expire_time: token.expire_time,
            advised_refresh_time: token.advised_refresh_time,
            generation,
            access_token: sealed,
        };
        Ok(NewAccessToken { token: Arc::new(token), stored })
    }

    /// Opens a shared access token.
    pub(super) fn open_access_token(
        data_key: &DataKey,
        stored: StoredAccessToken,
    ) -> Result<Arc<AccessToken>, OpError> {
        let row = access_token_row(&stored.connection, &stored.scope_key);
        let place = access_token_place(&row, stored.generation);
        let value = data_key.open(&place, &stored.access_token).map_err(at(&row))?;
        Ok(Arc::new(AccessToken {
            hash: TokenHash::of(&value),
            value: Arc::new(value),
            kind: Arc::new(TokenKind { token_type: stored.token_type, scopes: stored.granted_scopes }),
            obtain_time: stored.obtain_time,
            expire_time: stored.expire_time,
            advised_refresh_time: stored.advised_refresh_time,
        }))
    }

    /// Seals the codes of a device authorization under a data key of their own.
    pub(super) async fn seal_codes(
        &self,
        name: &AuthorizationName,
        device_code: &SecretString,
        user_code: &SecretString,
    ) -> Result<SealedCodes, OpError> {
        let row = name.to_string();
        let sealed = async {
            let data_key = DataKey::generate(DataKey::FIRST_VERSION)?;
            Ok(SealedCodes {
                data_key: data_key.wrap(self.keys.as_ref(), &code_place(&row, places::DATA_KEY)).await?,
                device_code: data_key.seal(&code_place(&row, places::DEVICE_CODE), device_code)?,
                user_code: data_key.seal(&code_place(&row, places::USER_CODE), user_code)?,
            })
        };
        sealed.await.map_err(at(&row))
    }

    /// Opens the device code of an authorization.
    pub(super) async fn open_device_code(
        &self,
        name: &AuthorizationName,
        codes: &SealedCodes,
    ) -> Result<SecretString, OpError> {
        let row = name.to_string();
        let opened = async {
            let place = code_place(&row, places::DATA_KEY);
            let data_key =
                DataKey::unwrap(self.keys.as_ref(), DataKey::FIRST_VERSION, &codes.data_key, &place).await?;
            data_key.open(&code_place(&row, places::DEVICE_CODE), &codes.device_code)
        };
        opened.await.map_err(at(&row))
    }
}

/// Which shared access token of a connection.
#[derive(Clone, Copy)]
pub(super) struct TokenSlot<'a> {
    pub(super) connection: &'a ConnectionName,
    pub(super) scopes: &'a crate::domain::scopes::ScopeSet,
    pub(super) scope_key: &'a str,
}

fn data_key_place(row: &str, version: i64) -> Place<'_> {
    Place { table: places::CONNECTIONS, column: places::DATA_KEY, row, generation: version }
}

fn refresh_token_place(row: &str, generation: i64) -> Place<'_> {
    Place { table: places::CONNECTIONS, column: places::REFRESH_TOKEN, row, generation }
}

fn access_token_place(row: &str, generation: i64) -> Place<'_> {
    Place { table: places::ACCESS_TOKENS, column: places::ACCESS_TOKEN, row, generation }
}

fn code_place<'a>(row: &'a str, column: &'static str) -> Place<'a> {
    Place { table: places::AUTHORIZATIONS, column, row, generation: DataKey::FIRST_VERSION }
}

fn at(row: &str) -> impl FnOnce(CryptoError) -> OpError {
    let place = row.to_owned();
    move |source| OpError::Crypto { place, source }
}
