//! Replaces tokens in use before a caller must wait for it, and keeps connections alive that nobody asks for.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use service_kit::{clock::Timestamp, error_chain::ErrorChain};

use super::{
    Context, OpError,
    get_access_token::{FlightKey, effective_scopes, find_connection, run_flight},
    token_cache::DueToken,
};
use crate::domain::{
    names::ConnectionName, refresh_schedule::KEEP_ALIVE_AFTER, scopes::ScopeSet, token::TokenHash,
};

/// How often tokens in memory are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most refreshes ahead of time under way at once: callers who wait come first.
const MAX_AHEAD: usize = 64;
/// Most tokens that one look finds. When there are more, the next look follows at once.
const MAX_FOUND: usize = 1024;
/// How often connections that nobody asks for are looked for.
const KEEP_ALIVE_EVERY: Duration = Duration::from_mins(10);
/// Most connections that one look keeps alive.
const MAX_KEPT_ALIVE: u64 = 100;
/// Most of them at once.
const KEPT_ALIVE_AT_ONCE: usize = 4;

/// Refreshes ahead until the service stops.
pub async fn run(context: Arc<Context>) {
    let shutdown = context.lifecycle.shutdown_token();
    let mut last_look = None;
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = refresh_due(&context) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = keep_alive(&context, &mut last_look) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Replaces the tokens that are due. Each runs as a flight of its own: what is under way survives this task.
async fn refresh_due(context: &Arc<Context>) {
    let looks = stream::iter(std::iter::from_fn(|| {
        let mut due = context.cache.take_due(context.now(), MAX_FOUND);
        // What ends first comes first, whatever order the cache keeps.
        due.sort_by(|one, other| one.order().cmp(&other.order()));
        (!due.is_empty()).then_some(due)
    }));
    looks
        .flat_map(stream::iter)
        .for_each_concurrent(MAX_AHEAD, async |due| {
            if let Err(error) = replace(context, &due).await {
                tracing::info!(
                    connection.name = %due.connection,
                    error = %ErrorChain(&*error),
                    "a token could not be replaced ahead of its end yet"
                );
            }
        })
        .await;
}

async fn replace(context: &Arc<Context>, due: &DueToken) -> Result<(), Arc<OpError>> {
    let epoch = context.cache.epoch();
    let stored = find_connection(context, &due.connection).await?;
    let scopes = effective_scopes(&due.asked, &stored);
    let key = flight(due.connection.clone(), scopes, Some(due.token.hash));
    let fresh = run_flight(context, key).await?;
    context.cache.insert(epoch, &due.connection, &due.asked, &fresh, context.now());
    Ok(())
}

fn flight(connection: ConnectionName, scopes: ScopeSet, stale: Option<TokenHash>) -> FlightKey {
    FlightKey { connection, scopes, stale, is_rejected: false, claims: None, unconditional: false }
}

/// Refreshes connections that were not refreshed for long, so that the provider does not end them for inactivity.
async fn keep_alive(context: &Arc<Context>, last_look: &mut Option<Timestamp>) {
    let now = context.now();
    if last_look.is_some_and(|last| now.duration_since(last) < KEEP_ALIVE_EVERY) {
        return;
    }
    *last_look = Some(now);
    context.cache.forget_idle(now);
    let since = now.saturating_sub(KEEP_ALIVE_AFTER);
    let idle = match context
        .store
        .list_idle_connections(context.provider.client_id(), since, MAX_KEPT_ALIVE)
        .await
    {
        Ok(idle) => idle,
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "idle connections cannot be looked for");
            return;
        }
    };
    stream::iter(idle)
        .for_each_concurrent(KEPT_ALIVE_AT_ONCE, async |connection| {
            let name = connection.name.clone();
            if let Err(error) = run_flight(context, flight(connection.name, connection.scopes, None)).await {
                tracing::info!(connection.name = %name, error = %ErrorChain(&*error), "an idle connection could not be kept alive yet");
            }
        })
        .await;
}
