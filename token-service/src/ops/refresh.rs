//! One refresh: takes the connection's turn, adopts what somebody else obtained meanwhile, else asks the provider, makes the
//! answer durable, and only then hands it out.

use std::{sync::Arc, time::Duration};

use service_kit::{clock::Timestamp, error_chain::ErrorChain, secret::SecretString};

use super::{
    Context, OpError,
    cooldowns::Reason,
    custody::Custody,
    error::RefusedPart,
    get_access_token::{FlightKey, find_connection, refuse_unless_active, shared_token, slot},
};
use crate::{
    crypto::DataKey,
    domain::{
        connection::{Connection, ConnectionState, StoredConnection},
        refresh_policy::{Decision, Held, Wish, decide},
        token::AccessToken,
    },
    provider::{Fault, ProviderError, Reach, Refusal, TokenGrant},
    store::{RowVersion, StoreError, Successor, scope_key},
};

/// How often a refresh starts over because somebody else changed the connection meanwhile.
const MAX_ROUNDS: usize = 3;
/// How often storing an answer is tried: a rotated refresh token that is not stored may be lost for good.
const MAX_STORE_ATTEMPTS: u32 = 6;
/// Wait before the second attempt to store; it doubles with each further one.
const FIRST_STORE_RETRY: Duration = Duration::from_millis(100);

/// What one round came to.
enum Round {
    Done(Arc<AccessToken>),
    /// Somebody else changed the connection: read it again and adopt what is there.
    Overtaken,
}

/// Obtains a token. To be run detached from whoever asks: once the provider was asked, its answer must be stored.
pub(super) async fn refresh(context: &Context, key: &FlightKey) -> Result<Arc<AccessToken>, OpError> {
    let _turn = context.refresh_queue.turn(&key.connection).await;
    for round in 0..MAX_ROUNDS {
        let stored = find_connection(context, &key.connection).await?;
        let may_adopt = round > 0 || (!key.unconditional && key.claims.is_none());
        if may_adopt && let Some(token) = adopt(context, key, &stored).await? {
            return Ok(token);
        }
        refuse_unless_worth_asking(context, key, &stored)?;
        if let Round::Done(token) = ask_provider(context, key, &stored).await? {
            return Ok(token);
        }
    }
    Err(OpError::Busy)
}

/// The shared token, if it is another one than the one to be replaced and still lives.
async fn adopt(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
) -> Result<Option<Arc<AccessToken>>, OpError> {
    let wish = Wish { min_ttl: Duration::ZERO, has_claims: false, rejected: key.stale };
    let token = shared_token(context, stored, &key.scopes).await?;
    let decision = decide(context.now(), token.as_deref().map(Held::from), &wish);
    Ok(token.filter(|_| decision == Decision::Serve))
}

/// Spares the provider requests whose answer is known. An operator who refreshes now may learn that an administrator has
/// lifted what blocked the connection, so only what the provider asked for stands against that.
fn refuse_unless_worth_asking(context: &Context, key: &FlightKey, stored: &StoredConnection) -> Result<(), OpError> {
    let connection = &stored.connection;
    if !key.unconditional || connection.state == ConnectionState::Revoked {
        refuse_unless_active(stored)?;
    }
    let provider = &context.provider;
    if connection.client_id != provider.client_id() || connection.provider != provider.id() {
        // Another app's refresh token would be refused as invalid, which says nothing about the connection.
        return Err(OpError::ProviderMisconfigured { cause: "connection of another app registration".to_owned() });
    }
    let now = context.now();
    let standing = if key.unconditional {
        context.cooldowns.standing_throttle(&key.connection, now)
    } else {
        context.cooldowns.standing_failure(&key.connection, now)
    };
    standing.map_or(Ok(()), Err)
}

async fn ask_provider(context: &Context, key: &FlightKey, stored: &StoredConnection) -> Result<Round, OpError> {
    let data_key = context.custody.data_key(stored).await?;
    let refresh_token = Custody::open_refresh_token(&data_key, stored)?;
    match context.provider.refresh(&refresh_token, &key.scopes, key.claims.as_deref()).await {
        Ok(grant) => {
            context.app_health.record_accepted();
            context.cooldowns.clear(&key.connection);
            keep(context, key, stored, &data_key, grant).await
        }
        Err(ProviderError::Refused(refusal)) => refused(context, key, stored, refusal).await,
        Err(error @ (ProviderError::Unreachable(_) | ProviderError::OutcomeUnknown(_))) => {
            tracing::warn!(
                connection.name = %key.connection,
                error = %ErrorChain(&error),
                "a refresh brought no answer; the refresh token at hand is kept"
            );
            let cause = match &error {
                ProviderError::OutcomeUnknown(_) => "answer lost",
                ProviderError::Unreachable(_) | ProviderError::Refused(_) => "no connection",
            };
            Err(context.cooldowns.record(&key.connection, context.now(), Reason::Unavailable, cause.to_owned()))
        }
    }
}

/// Makes the answer durable, then gives it.
async fn keep(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
    data_key: &DataKey,
    mut grant: TokenGrant,
) -> Result<Round, OpError> {
    let refresh_token = match grant.refresh_token.take() {
        Some(successor) => successor,
        None => Custody::open_refresh_token(data_key, stored)?,
    };
    let answer = Answer { refresh_token, grant, time: context.now() };
    let mut base = stored.connection.clone();
    let mut wait = FIRST_STORE_RETRY;
    for attempt in 1..=MAX_STORE_ATTEMPTS {
        match store_once(context, key, &base, data_key, &answer).await {
            Ok(token) => {
                tracing::debug!(connection.name = %base.name, "refreshed");
                return Ok(Round::Done(token));
            }
            Err(OpError::Store(StoreError::Conflict)) => {
                let current = find_connection(context, &key.connection).await?;
                if !has_same_credential(&current, stored) || current.connection.state == ConnectionState::Revoked {
                    return Ok(Round::Overtaken);
                }
                // Only the state changed: somebody was refused with the token that was just accepted. Success is the
                // better witness.
                base = current.connection;
            }
            Err(OpError::Store(StoreError::Unavailable(error))) if attempt < MAX_STORE_ATTEMPTS => {
                tracing::warn!(
                    connection.name = %base.name,
                    error = %ErrorChain(&*error),
                    "a rotated refresh token could not be stored yet, trying again"
                );
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2);
            }
            Err(error) => {
                tracing::error!(connection.name = %base.name, "a rotated refresh token could not be stored");
                return Err(error);
            }
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
    base: &Connection,
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
    transaction.commit().await?;
    Ok(fresh.token)
}

/// Whether nobody replaced the refresh token in between.
fn has_same_credential(current: &StoredConnection, stored: &StoredConnection) -> bool {
    current.connection.uid == stored.connection.uid
        && current.credential.data_key_version == stored.credential.data_key_version
        && current.credential.refresh_token_generation == stored.credential.refresh_token_generation
}

async fn refused(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
    refusal: Refusal,
) -> Result<Round, OpError> {
    let name = &key.connection;
    let now = context.now();
    let cool = |reason, cause| Err(context.cooldowns.record(name, now, reason, cause));
    match refusal {
        Refusal::Transient { cause, retry_after: None } => cool(Reason::Unavailable, cause),
        Refusal::Transient { cause, retry_after: Some(wait) } | Refusal::Throttled { cause, retry_after: wait } => {
            cool(Reason::Throttled(wait), cause)
        }
        Refusal::AppMisconfigured { cause } => {
            context.app_health.record_refused(&cause);
            cool(Reason::Misconfigured, cause)
        }
        Refusal::NeedsReauth { cause, reach, claims } => {
            let state = ConnectionState::NeedsReauth { cause };
            permanently_refused(context, key, stored, state, Refused { reach, claims }).await
        }
        Refusal::Blocked { cause, reach } => {
            let state = ConnectionState::Blocked { cause };
            permanently_refused(context, key, stored, state, Refused { reach, claims: None }).await
        }
        Refusal::CallerFault { cause, fault } => Err(caller_fault(key, stored, cause, fault)),
        // Answers that only a sign-in gets: here they make no sense, so they prove nothing.
        other @ (Refusal::DevicePending
        | Refusal::DeviceSlowDown
        | Refusal::DeviceDeclined
        | Refusal::DeviceExpired
        | Refusal::CodeRefused { .. }) => cool(Reason::Unavailable, other.cause().to_owned()),
    }
}

/// A permanent refusal changes the connection only if it is about the connection, and only if the refused token is still the
/// one that is stored: otherwise somebody else rotated it, and theirs is adopted.
async fn permanently_refused(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
    state: ConnectionState,
    refusal: Refused,
) -> Result<Round, OpError> {
    context.app_health.record_accepted();
    let connection = &stored.connection;
    let current = find_connection(context, &key.connection).await?;
    if !has_same_credential(&current, stored) {
        return Ok(Round::Overtaken);
    }
    let now = context.now();
    let is_own_request = key.claims.is_none() && key.scopes == connection.scopes;
    if refusal.reach == Reach::Request && !is_own_request {
        return Err(refusal.error(key, state, now));
    }
    let current = current.connection;
    let since = if current.state.kind() == state.kind() { current.state_time } else { now };
    let changed = async {
        let transaction = context.store.begin_write().await?;
        transaction.set_connection_state(RowVersion::from(&current), &state, since).await?;
        transaction.commit().await
    };
    match changed.await {
        Ok(()) => {
            tracing::warn!(
                connection.name = %connection.name,
                connection.state = ?state.kind(),
                provider.cause = state.cause(),
                "the identity provider refuses the connection for good"
            );
            Err(refusal.error(key, state, since))
        }
        Err(StoreError::Conflict) => Ok(Round::Overtaken),
        Err(error) => Err(error.into()),
    }
}

/// The rest of a permanent refusal.
struct Refused {
    reach: Reach,
    claims: Option<String>,
}

impl Refused {
    fn error(self, key: &FlightKey, state: ConnectionState, since: Timestamp) -> OpError {
        let connection = key.connection.clone();
        match state {
            ConnectionState::Blocked { cause } => OpError::Blocked { connection, cause, since },
            ConnectionState::NeedsReauth { cause } => {
                OpError::NeedsReauth { connection, cause, since, claims: self.claims }
            }
            ConnectionState::Active | ConnectionState::Revoked => OpError::Busy,
        }
    }
}

/// Scopes and claims are the caller's fault only where the caller sent them.
fn caller_fault(key: &FlightKey, stored: &StoredConnection, cause: String, fault: Fault) -> OpError {
    match fault {
        Fault::Scopes if key.scopes != stored.connection.scopes => {
            OpError::RequestRefused { part: RefusedPart::Scopes, cause }
        }
        Fault::Form if key.claims.is_some() => OpError::RequestRefused { part: RefusedPart::Claims, cause },
        Fault::Scopes | Fault::Form => OpError::ProviderMisconfigured { cause },
    }
}
