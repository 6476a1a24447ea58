//! What a successful sign-in becomes: a new connection, or the old one mended.

use service_kit::{clock::Timestamp, resource_name::ResourceId, secret::SecretString};

use super::{
    Context, OpError,
    custody::{Custody, NewAccessToken},
    get_access_token::slot,
    store_surely::store_surely,
};
use crate::{
    crypto::DataKey,
    domain::{
        account::may_mend,
        authorization::{ACCOUNT_MISMATCH, Authorization, AuthorizationState},
        connection::{Connection, ConnectionState, StoredConnection},
        names::ConnectionName,
        scopes::ScopeSet,
    },
    provider::TokenGrant,
    store::{RowVersion, StoreError, WriteTransaction, scope_key},
};

/// Generation of a connection that was just made.
const FIRST_GENERATION: i64 = 1;

/// What a new connection is made of, besides what the provider said.
pub(super) struct NewConnection<'a> {
    pub(super) name: &'a ConnectionName,
    pub(super) display_name: &'a str,
    pub(super) scopes: &'a ScopeSet,
}

/// What a sign-in or an import brought.
pub(super) struct SignIn {
    pub(super) refresh_token: SecretString,
    /// The rest of the provider's answer.
    pub(super) grant: TokenGrant,
    /// When it was asked for: lives are counted from before the request, rather too short than too long.
    pub(super) time: Timestamp,
}

/// Seals a new connection and its first access token; stores nothing.
pub(super) async fn new_connection(
    context: &Context,
    parts: &NewConnection<'_>,
    sign_in: &SignIn,
) -> Result<(StoredConnection, NewAccessToken), OpError> {
    let now = sign_in.time;
    let connection = Connection {
        name: parts.name.clone(),
        uid: ResourceId::new_random("").to_string(),
        display_name: parts.display_name.to_owned(),
        provider: context.provider.id().to_owned(),
        client_id: context.provider.client_id().to_owned(),
        scopes: parts.scopes.clone(),
        account: sign_in.grant.account.clone(),
        state: ConnectionState::Active,
        state_time: now,
        create_time: now,
        refresh_time: Some(now),
        generation: FIRST_GENERATION,
    };
    seal(context, connection, DataKey::FIRST_VERSION, sign_in).await
}

/// Inserts a connection and its first access token. An insert whose outcome was lost and that is found done counts as done.
pub(super) async fn insert_connection(
    context: &Context,
    stored: &StoredConnection,
    token: &NewAccessToken,
) -> Result<(), OpError> {
    let name = &stored.connection.name;
    let inserted = store_surely(name, || async {
        match insert_once(context, stored, token).await {
            // Ours or somebody else's? If that cannot be read now, it is with the next attempt.
            Err(StoreError::AlreadyExists) => match context.store.get_connection(name).await {
                Ok(found) if found.connection.uid == stored.connection.uid => Ok(()),
                Ok(_) => Err(OpError::ConnectionExists(name.clone())),
                // Deleted since.
                Err(StoreError::NotFound) => Err(OpError::Busy),
                Err(error) => Err(error.into()),
            },
            result => Ok(result?),
        }
    });
    inserted.await
}

async fn insert_once(
    context: &Context,
    stored: &StoredConnection,
    token: &NewAccessToken,
) -> Result<(), StoreError> {
    let transaction = context.store.begin_write().await?;
    transaction.insert_connection(stored).await?;
    transaction.replace_access_token(&token.stored, token.stored.obtain_time).await?;
    record_active(&transaction, stored).await?;
    transaction.commit().await
}

/// What became of a sign-in.
pub(super) enum Settled {
    /// The connection is there; both rows are durable.
    Completed,
    /// Another account signed in than the connection's.
    Mismatch,
    /// The authorization is not at this generation any more; nothing was stored.
    Superseded,
    /// The connection changed meanwhile: try again.
    Overtaken,
}

/// Makes or mends the connection of an authorization and ends the authorization, in one transaction.
pub(super) async fn settle(
    context: &Context,
    authorization: &Authorization,
    sign_in: &SignIn,
) -> Result<Settled, OpError> {
    let name = &authorization.connection;
    let _turn = context.refresh_queue.turn(name).await;
    let existing = match context.store.get_connection(name).await {
        Ok(existing) => Some(existing),
        Err(StoreError::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let known = existing.as_ref().and_then(|stored| stored.connection.account.as_ref());
    if existing.is_some() && !may_mend(known, sign_in.grant.account.as_ref()) {
        return Ok(Settled::Mismatch);
    }
    let (stored, token) = prepare(context, authorization, existing.as_ref(), sign_in).await?;

    let transaction = context.store.begin_write().await?;
    let ended =
        transaction.end_authorization(authorization, &AuthorizationState::Completed, context.now()).await;
    if let Err(StoreError::Conflict) = ended {
        return Ok(Settled::Superseded);
    }
    ended?;
    let written = match &existing {
        None => transaction.insert_connection(&stored).await,
        Some(existing) => {
            transaction.replace_connection(RowVersion::from(&existing.connection), &stored).await
        }
    };
    if let Err(StoreError::Conflict | StoreError::AlreadyExists) = written {
        return Ok(Settled::Overtaken);
    }
    written?;
    if existing.is_some() {
        transaction.delete_access_tokens(name).await?;
        transaction.clear_aftermath(name).await?;
        transaction.forget_sign_in_claims(name).await?;
    }
    transaction.replace_access_token(&token.stored, token.stored.obtain_time).await?;
    record_active(&transaction, &stored).await?;
    transaction.commit().await?;
    context.changes.wake();
    context.cache.invalidate(name);
    context.cooldowns.clear(name);
    context.suspicions.clear(name);
    Ok(Settled::Completed)
}

/// Tells replicas and watchers, also where the state was active before: what they have in memory is of another sign-in.
async fn record_active(transaction: &WriteTransaction, stored: &StoredConnection) -> Result<(), StoreError> {
    let connection = &stored.connection;
    let now = connection.refresh_time.unwrap_or(connection.create_time);
    transaction.record_state(connection, &connection.state, connection.state_time, now).await
}

/// The cause of an authorization that [`Settled::Mismatch`] ends.
pub(super) fn mismatch() -> AuthorizationState {
    AuthorizationState::Failed { cause: ACCOUNT_MISMATCH.to_owned() }
}

async fn prepare(
    context: &Context,
    authorization: &Authorization,
    existing: Option<&StoredConnection>,
    sign_in: &SignIn,
) -> Result<(StoredConnection, NewAccessToken), OpError> {
    let Some(existing) = existing else {
        let parts = NewConnection {
            name: &authorization.connection,
            display_name: &authorization.display_name,
            scopes: &authorization.scopes,
        };
        return new_connection(context, &parts, sign_in).await;
    };
    let now = sign_in.time;
    let old = &existing.connection;
    let was_active = old.state == ConnectionState::Active;
    let connection = Connection {
        provider: context.provider.id().to_owned(),
        client_id: context.provider.client_id().to_owned(),
        scopes: authorization.scopes.clone(),
        account: sign_in.grant.account.clone().or_else(|| old.account.clone()),
        state: ConnectionState::Active,
        state_time: if was_active { old.state_time } else { now },
        refresh_time: Some(now),
        generation: old.generation.saturating_add(1),
        ..old.clone()
    };
    let data_key_version = existing.credential.data_key_version.saturating_add(1);
    seal(context, connection, data_key_version, sign_in).await
}

async fn seal(
    context: &Context,
    connection: Connection,
    data_key_version: i64,
    sign_in: &SignIn,
) -> Result<(StoredConnection, NewAccessToken), OpError> {
    let generation = connection.generation;
    let (data_key, credential) = context
        .custody
        .new_credential(&connection.name, generation, data_key_version, &sign_in.refresh_token)
        .await?;
    let scope_key = scope_key(&connection.scopes);
    let slot = slot(&connection.name, &connection.scopes, &scope_key);
    let token = Custody::new_access_token(&data_key, &slot, generation, &sign_in.grant, sign_in.time)?;
    Ok((StoredConnection { connection, credential }, token))
}
