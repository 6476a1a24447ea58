//! Learns which connections other replicas changed, and forgets what is in memory about them.
//!
//! The counter of changes is read several times a second, and at once when PostgreSQL announces a change. So a connection that
//! was revoked or mended elsewhere is seen here within a second, whatever is lost on the way. Whether the counter can be read is
//! also what says whether the database is up.

use std::{sync::Arc, time::Duration};

use service_kit::{clock::Timestamp, error_chain::ErrorChain};
use tokio::sync::{Notify, watch};

use super::{Context, watch_connections::KEEP_CHANGES};
use crate::store::{ChangeCount, Notification, StoreError};

/// How often the counter is read although nothing was announced.
const READ_EVERY: Duration = Duration::from_millis(400);
/// Pause after the database failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(800);
/// How often old changes are cleared away.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// Most changes that are looked at one by one; after more, everything in memory is forgotten.
const MAX_CHANGES: u64 = 1000;

/// The changes seen so far.
pub(super) struct ChangeFeed {
    wakeup: Notify,
    latest: watch::Sender<i64>,
}

impl ChangeFeed {
    pub(super) fn new() -> Self {
        Self { wakeup: Notify::new(), latest: watch::Sender::new(0) }
    }

    /// Says that something changed; to be called after the change is durable.
    pub(super) fn wake(&self) {
        self.wakeup.notify_one();
    }

    /// The number of the latest change, whenever it moves.
    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }
}

/// Follows the counter until the service stops.
pub async fn follow(context: Arc<Context>) {
    let shutdown = context.lifecycle.shutdown_token();
    let mut seen: Option<i64> = None;
    let mut last_sweep = None;
    while !shutdown.is_cancelled() {
        let looked = catch_up(&context, seen).await;
        context.database.set(!matches!(looked, Err(StoreError::Unavailable(_))));
        let pause = match looked {
            Ok(latest) => {
                seen = Some(latest);
                sweep(&context, &mut last_sweep).await;
                READ_EVERY
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "changes of connections cannot be read, trying again");
                FAILURE_PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = context.changes.wakeup.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Forgets what changed after `seen`, and gives the number of the latest change.
async fn catch_up(context: &Context, seen: Option<i64>) -> Result<i64, StoreError> {
    let ChangeCount { latest, .. } = context.store.change_count().await?;
    let Some(seen) = seen else {
        // Callers may have come before the first look: what changed between them and now nobody would tell any more.
        context.cache.invalidate_all();
        context.changes.latest.send_replace(latest);
        return Ok(latest);
    };
    if latest == seen {
        return Ok(latest);
    }
    let changes = context.store.list_changes(seen, None, MAX_CHANGES).await?;
    let is_whole = latest > seen && u64::try_from(changes.len()).unwrap_or(u64::MAX) < MAX_CHANGES;
    if is_whole {
        for change in &changes {
            context.cache.invalidate(&change.connection);
            // A failure that came after the change is forgotten with those before it, because the clocks of two replicas do not say
            // which was first. The provider is left alone all the same: what it asked for stands in the lease and in the fence of the
            // directory, and an app that is refused in the breaker.
            context.cooldowns.clear(&change.connection);
            context.refresh_signals.notify(&change.connection);
        }
    } else {
        context.cache.invalidate_all();
    }
    let latest = changes.last().map_or(latest, |last| last.sequence.max(latest));
    context.changes.latest.send_replace(latest);
    Ok(latest)
}

/// Clears away changes that nobody can resume from any more.
async fn sweep(context: &Context, last_sweep: &mut Option<Timestamp>) {
    let now = context.now();
    if last_sweep.is_some_and(|last| now.duration_since(last) < SWEEP_EVERY) {
        return;
    }
    *last_sweep = Some(now);
    if let Err(error) = context.store.delete_changes(now.saturating_sub(KEEP_CHANGES)).await {
        tracing::warn!(error = %ErrorChain(&error), "old changes of connections cannot be cleared away");
    }
}

/// Passes on what PostgreSQL announces, until the service stops. On other databases there is nothing to do.
pub async fn listen(context: Arc<Context>) {
    let shutdown = context.lifecycle.shutdown_token();
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = shutdown.cancelled() => {}
            heard = hear(&context) => match heard {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(error = %ErrorChain(&error), "announcements of the database are not heard, polling goes on");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(FAILURE_PAUSE) => {}
                    }
                }
            },
        }
    }
}

async fn hear(context: &Context) -> Result<(), StoreError> {
    let Some(mut notifications) = context.store.listen().await? else { return Ok(()) };
    loop {
        match notifications.next().await? {
            Notification::Refreshed(connection) => context.refresh_signals.notify(&connection),
            Notification::Changed | Notification::Interrupted => context.changes.wake(),
        }
    }
}

#[cfg(test)]
mod tests {
    use migrations::{Policy, Schema};
    use service_kit::{
        clock::SystemClock,
        database::{self, DatabaseUrl, PoolOptions},
        lifecycle::Lifecycle,
        secret::SecretString,
    };

    use super::*;
    use crate::{
        crypto::FileKeyring,
        domain::{
            names::ConnectionName,
            scopes::ScopeSet,
            token::{AccessToken, TokenHash, TokenKind},
        },
        ops::{Parts, RefreshTimes},
        provider::{Entra, EntraConfig},
        store::Store,
    };

    const LONG: Duration = Duration::from_mins(1);

    async fn context(folder: &std::path::Path) -> Arc<Context> {
        let url = DatabaseUrl::sqlite(folder.join("token.db"));
        let database = database::connect(&url, &PoolOptions::default()).await.unwrap();
        migrations::ensure(&database, Schema::Token, Policy::MigrateEmbedded).await.unwrap();
        let provider = Entra::new(EntraConfig {
            client_id: "app".to_owned(),
            client_secret: None,
            authority: "http://127.0.0.1:1".parse().unwrap(),
            directory: "organizations".to_owned(),
        });
        Context::new(Parts {
            store: Store::new(database, LONG, Arc::new(SystemClock)),
            keys: Arc::new(FileKeyring::create(&folder.join("keyring.toml")).unwrap()),
            provider: Arc::new(provider.unwrap()),
            clock: Arc::new(SystemClock),
            lifecycle: Lifecycle::new(),
            default_scopes: ScopeSet::default(),
            refresh_times: RefreshTimes { provider_timeout: LONG },
        })
    }

    #[tokio::test]
    async fn what_callers_read_before_the_first_look_is_forgotten_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let context = context(folder.path()).await;
        let name = ConnectionName::parse("tenants/a/connections/b").unwrap();
        let value = Arc::new(SecretString::new("t".to_owned()));
        let now = context.now();
        let token = Arc::new(AccessToken {
            hash: TokenHash::of(&value),
            value,
            kind: Arc::new(TokenKind { token_type: "Bearer".to_owned(), scopes: ScopeSet::default() }),
            obtain_time: now,
            expire_time: now.saturating_add(LONG),
            advised_refresh_time: None,
        });
        let scopes = ScopeSet::default();
        let is_held = || context.cache.get_unverified(&name, &scopes).is_some();
        let put = || context.cache.insert(context.cache.epoch(), &name, &scopes, &token, now);
        put();
        let seen = catch_up(&context, None).await.unwrap();
        assert!(!is_held(), "somebody may have deleted the connection before the look");
        put();
        catch_up(&context, Some(seen)).await.unwrap();
        assert!(is_held(), "nothing has changed since");
    }
}
