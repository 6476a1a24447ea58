//! Takes a token from everybody, where two agree: a caller, whom the resource refused it, and the provider, which refused the
//! connection for good. One caller's word alone does not take a token from the others.

use crate::{
    domain::connection::ConnectionState,
    ops::{
        Context, OpError,
        get_access_token::{FlightKey, find_connection, shared_token_and_generation},
    },
    store::scope_key,
};

/// Deletes the rejected token if it is still the shared one, and the connection needs a person or is blocked. Tokens of other scopes
/// stay. To be run before callers are told: one that was told that the connection is refused is not given that token again.
///
/// Other replicas have it in memory for a second at most, see [`insert_briefly`](crate::ops::token_cache::TokenCache::insert_briefly).
pub(super) async fn let_go(context: &Context, key: &FlightKey) -> Result<(), OpError> {
    let stored = find_connection(context, &key.connection).await?;
    let is_refused = match stored.connection.state {
        ConnectionState::NeedsReauth { .. } | ConnectionState::Blocked { .. } => true,
        // Only this request was refused, or the connection was mended meanwhile.
        ConnectionState::Active | ConnectionState::Revoked => false,
    };
    if !is_refused {
        return Ok(());
    }
    let Some((token, generation)) = shared_token_and_generation(context, &stored, &key.scopes).await? else {
        return Ok(());
    };
    if key.stale.is_none_or(|stale| !stale.matches(&token.hash)) {
        return Ok(());
    }
    let transaction = context.store.begin_write().await?;
    transaction.delete_access_token(&key.connection, &scope_key(&key.scopes), generation).await?;
    transaction.commit().await?;
    context.cache.invalidate(&key.connection);
    tracing::info!(
        connection.name = %key.connection,
        "a token is not handed out any more: its resource refused it, and the provider the connection"
    );
    Ok(())
}
