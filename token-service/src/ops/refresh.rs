//! One refresh: takes the connection's turn in this process and its lease among all (`turn`), adopts what somebody else
//! obtained meanwhile, else asks the provider, makes the answer durable (`keep`), and only then hands it out; a refusal goes to
//! `refused`, and what the next refresh must know is left in the lease (`aftermath`). A token that the resource refused is taken from
//! everybody once the provider refused the connection, too (`rejected`).

mod aftermath;
mod keep;
mod refused;
mod rejected;
mod turn;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use self::turn::{Ours, Turn, take_turn};
use super::{
    Context, OpError,
    custody::Custody,
    get_access_token::{FlightKey, refuse_unless_active, shared_token},
};
use crate::{
    domain::{
        connection::{ConnectionState, StoredConnection},
        refresh_lease::Aftermath,
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
    let result = refresh_in_turn(context, key).await;
    if key.is_rejected && matches!(result, Err(OpError::NeedsReauth { .. } | OpError::Blocked { .. })) {
        rejected::let_go(context, key).await?;
    }
    result
}

async fn refresh_in_turn(context: &Context, key: &FlightKey) -> Result<Arc<AccessToken>, OpError> {
    let mut beginning = None;
    for _ in 0..MAX_ROUNDS {
        let ours = match take_turn(context, key, &mut beginning).await? {
            Turn::Adopted(token) => return Ok(token),
            Turn::Ours(ours) => ours,
        };
        if let Round::Done(token) = ask_provider(context, key, &ours).await? {
            return Ok(token);
        }
    }
    Err(OpError::Busy)
}

/// The shared token, if it is another one than the one to be replaced and still lives. A challenge only our own request carries;
/// and whoever wants a refresh whatever is at hand takes only what was obtained since its `beginning`, a generation of the refresh
/// token.
async fn adopt(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
    beginning: i64,
) -> Result<Option<Arc<AccessToken>>, OpError> {
    let is_new = stored.credential.refresh_token_generation > beginning;
    if key.claims.is_some() || (key.unconditional && !is_new) {
        return Ok(None);
    }
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
    if let Some(error) = context.directory_fences.standing(connection, now) {
        return Err(error);
    }
    let standing = if key.unconditional {
        context.cooldowns.standing_throttle(&key.connection, now)
    } else {
        context.cooldowns.standing_failure(&key.connection, now)
    };
    standing.map_or(Ok(()), Err)
}

async fn ask_provider(context: &Context, key: &FlightKey, ours: &Ours) -> Result<Round, OpError> {
    let prepared = async {
        let data_key = context.custody.data_key(&ours.stored).await?;
        let refresh_token = Custody::open_refresh_token(&data_key, &ours.stored)?;
        Ok((data_key, refresh_token))
    };
    let (data_key, refresh_token) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            // Nothing was sent.
            aftermath::give_back(context, key, ours, ours.unsettled(None)).await;
            return Err(error);
        }
    };
    if Instant::now() >= ours.deadline {
        // Whoever was kept from going on for so long may have been overtaken, and must not ask with a token that was replaced.
        aftermath::give_back(context, key, ours, ours.unsettled(None)).await;
        return Ok(Round::Overtaken);
    }
    // The token's life is counted from before the request: rather too short than too long.
    let time = context.now();
    let asked = context.provider.refresh(&refresh_token, &key.scopes, key.claims.as_deref());
    let answer = tokio::time::timeout_at(ours.deadline, asked).await;
    match answer.unwrap_or_else(|_late| Err(ProviderError::OutcomeUnknown("time-out".to_owned()))) {
        Ok(grant) => {
            context.app_health.record_success(&key.connection, context.now());
            context.cooldowns.clear(&key.connection);
            context.suspicions.clear(&key.connection);
            let kept = keep::keep(context, key, ours, &data_key, (grant, time)).await;
            match &kept {
                // The lease was given back with it.
                Ok(Round::Done(_)) => {}
                // The credential is another one by now.
                Ok(Round::Overtaken) => aftermath::give_back(context, key, ours, Aftermath::default()).await,
                // It could not be stored: as if the answer had never come.
                Err(_) => aftermath::give_back(context, key, ours, ours.lost(context.now(), None)).await,
            }
            kept
        }
        Err(ProviderError::Refused(refusal)) => {
            let remains = aftermath::of_refusal(&refusal);
            let result = refused::refused(context, key, ours, refusal).await;
            aftermath::give_back(context, key, ours, remains.after(context, ours, result.as_ref().err()))
                .await;
            result
        }
        Err(error) => Err(aftermath::no_answer(context, key, ours, &error).await),
    }
}

/// Whether nobody replaced the refresh token in between.
fn has_same_credential(current: &StoredConnection, stored: &StoredConnection) -> bool {
    current.connection.uid == stored.connection.uid
        && current.credential.data_key_version == stored.credential.data_key_version
        && current.credential.refresh_token_generation == stored.credential.refresh_token_generation
}
