//! One refresh: takes the connection's turn, adopts what somebody else obtained meanwhile, else asks the provider, makes the
//! answer durable (`keep`), and only then hands it out; a refusal goes to `refused`.

mod keep;
mod refused;

use std::{sync::Arc, time::Duration};

use service_kit::error_chain::ErrorChain;

use super::{
    Context, OpError,
    cooldowns::Reason,
    custody::Custody,
    get_access_token::{FlightKey, find_connection, refuse_unless_active, shared_token},
};
use crate::{
    domain::{
        connection::{ConnectionState, StoredConnection},
        refresh_policy::{Decision, Held, Wish, decide},
        token::AccessToken,
    },
    provider::ProviderError,
};

/// How often a refresh starts over because somebody else changed the connection meanwhile.
const MAX_ROUNDS: usize = 3;

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
fn refuse_unless_worth_asking(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
) -> Result<(), OpError> {
    let connection = &stored.connection;
    if !key.unconditional || connection.state == ConnectionState::Revoked {
        refuse_unless_active(stored)?;
    }
    let provider = &context.provider;
    if connection.client_id != provider.client_id() || connection.provider != provider.id() {
        // Another app's refresh token would be refused as invalid, which says nothing about the connection.
        return Err(OpError::ProviderMisconfigured {
            cause: "connection of another app registration".to_owned(),
        });
    }
    let now = context.now();
    let standing = if key.unconditional {
        context.cooldowns.standing_throttle(&key.connection, now)
    } else {
        context.cooldowns.standing_failure(&key.connection, now)
    };
    standing.map_or(Ok(()), Err)
}

async fn ask_provider(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
) -> Result<Round, OpError> {
    let data_key = context.custody.data_key(stored).await?;
    let refresh_token = Custody::open_refresh_token(&data_key, stored)?;
    // The token's life is counted from before the request: rather too short than too long.
    let time = context.now();
    match context.provider.refresh(&refresh_token, &key.scopes, key.claims.as_deref()).await {
        Ok(grant) => {
            context.app_health.record_accepted();
            context.cooldowns.clear(&key.connection);
            keep::keep(context, key, stored, &data_key, (grant, time)).await
        }
        Err(ProviderError::Refused(refusal)) => refused::refused(context, key, stored, refusal).await,
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
            Err(context.cooldowns.record(
                &key.connection,
                context.now(),
                Reason::Unavailable,
                cause.to_owned(),
            ))
        }
    }
}

/// Whether nobody replaced the refresh token in between.
fn has_same_credential(current: &StoredConnection, stored: &StoredConnection) -> bool {
    current.connection.uid == stored.connection.uid
        && current.credential.data_key_version == stored.credential.data_key_version
        && current.credential.refresh_token_generation == stored.credential.refresh_token_generation
}
