//! Makes a provider's answer durable before anybody gets it.

use std::sync::Arc;

use service_kit::{clock::Timestamp, secret::SecretString};

use super::{MAX_ROUNDS, Round, has_same_credential, turn::Ours};
use crate::{
    crypto::DataKey,
    domain::{
        connection::{Connection, ConnectionState},
        refresh_lease::Aftermath,
        token::AccessToken,
    },
    ops::{
        Context, OpError,
        custody::Custody,
        get_access_token::{FlightKey, find_connection, slot},
        store_surely::store_surely,
    },
    provider::TokenGrant,
    store::{RowVersion, StoreError, Successor, scope_key},
};

/// Makes the answer durable, then gives it.
pub(super) async fn keep(
    context: &Context,
    key: &FlightKey,
    ours: &Ours,
    data_key: &DataKey,
    (mut grant, time): (TokenGrant, Timestamp),
) -> Result<Round, OpError> {
    let stored = &ours.stored;
    let refresh_token = match grant.refresh_token.take() {
        Some(successor) => successor,
        None => Custody::open_refresh_token(data_key, stored)?,
    };
    let answer = Answer { refresh_token, grant, time };
    let mut base = stored.connection.clone();
    for _ in 0..MAX_ROUNDS {
        let kept = store_surely(&base.name, || store_once(context, key, (&base, ours), data_key, &answer));
        match kept.await {
            Ok(token) => {
                tracing::debug!(connection.name = %base.name, "refreshed");
                return Ok(Round::Done(token));
            }
            Err(OpError::Store(StoreError::Conflict)) => {
                let current = find_connection(context, &key.connection).await?;
                if !has_same_credential(&current, stored)
                    || current.connection.state == ConnectionState::Revoked
                {
                    return Ok(Round::Overtaken);
                }
                // Only the state changed: somebody was refused with the token that was just accepted. Success is the
                // better witness.
                base = current.connection;
            }
            Err(error) => return Err(error),
        }
    }
    Err(OpError::Busy)
}

/// What the provider gave, until it is durable.
struct Answer {
    refresh_token: SecretString,
    grant: TokenGrant,
    time: Timestamp,
}

async fn store_once(
    context: &Context,
    key: &FlightKey,
    (base, ours): (&Connection, &Ours),
    data_key: &DataKey,
    answer: &Answer,
) -> Result<Arc<AccessToken>, OpError> {
    let generation = base.generation.saturating_add(1);
    let was_active = base.state == ConnectionState::Active;
    let successor = Successor {
        refresh_token: Custody::seal_refresh_token(data_key, &base.name, generation, &answer.refresh_token)?,
        generation,
        refresh_time: answer.time,
        active_since: if was_active { base.state_time } else { answer.time },
    };
    let scope_key = scope_key(&key.scopes);
    let slot = slot(&base.name, &key.scopes, &scope_key);
    let fresh = Custody::new_access_token(data_key, &slot, generation, &answer.grant, answer.time)?;

    let transaction = context.store.begin_write().await?;
    transaction.replace_refresh_token(RowVersion::from(base), &successor).await?;
    transaction.replace_access_token(&fresh.stored, answer.time).await?;
    // The generation guards what is stored, so a lease that was lost meanwhile does not lose the token.
    transaction.release_lease(&base.name, &context.replica, &ours.lease, &Aftermath::default()).await?;
    if !was_active {
        transaction.record_state(base, &ConnectionState::Active, answer.time, context.now()).await?;
    }
    transaction.commit().await?;
    if !was_active {
        context.changes.wake();
    }
    Ok(fresh.token)
}
