//! Access tokens in memory: the way of nearly every request.
//!
//! An entry is believed for [`BELIEVED_FOR`] only, then the database is asked again: so a connection that another replica
//! deleted or mended does not live on here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use service_kit::clock::Timestamp;

use crate::{
    domain::{names::ConnectionName, token::AccessToken},
    store::MAX_SCOPE_SETS,
};

/// Most connections whose tokens are in memory; those asked for least make room.
const MAX_CONNECTIONS: u64 = 10_000;
/// How long an entry is believed without asking the database.
const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Connections that nobody asks for leave memory.
const IDLE: Duration = Duration::from_mins(10);

#[derive(Clone)]
struct Entry {
    token: Arc<AccessToken>,
    since: Timestamp,
}

type ScopeSets = Arc<Mutex<HashMap<String, Entry>>>;

/// A moment in the life of the cache: what was read before an invalidation is not put in after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Epoch(u64);

/// Tokens in memory.
pub(super) struct TokenCache {
    connections: Cache<ConnectionName, ScopeSets>,
    epoch: Mutex<Epoch>,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        let connections = Cache::builder().max_capacity(MAX_CONNECTIONS).time_to_idle(IDLE).build();
        Self { connections, epoch: Mutex::new(Epoch(0)) }
    }

    /// The token of a connection and a set of scopes, unless the database should be asked.
    pub(super) fn get(
        &self,
        connection: &ConnectionName,
        scope_key: &str,
        now: Timestamp,
    ) -> Option<Arc<AccessToken>> {
        let entry = self.entry(connection, scope_key)?;
        let is_believed = now >= entry.since && now.duration_since(entry.since) < BELIEVED_FOR;
        is_believed.then_some(entry.token)
    }

    /// The same however old the entry is, for when the database cannot be asked.
    pub(super) fn get_unverified(
        &self,
        connection: &ConnectionName,
        scope_key: &str,
    ) -> Option<Arc<AccessToken>> {
        self.entry(connection, scope_key).map(|entry| entry.token)
    }

    fn entry(&self, connection: &ConnectionName, scope_key: &str) -> Option<Entry> {
        let sets = self.connections.get(connection)?;
        let sets = lock(&sets);
        sets.get(scope_key).cloned()
    }

    /// To be taken before the database is read.
    pub(super) fn epoch(&self) -> Epoch {
        *lock(&self.epoch)
    }

    /// Puts in what was read or made since `epoch`, unless something was invalidated meanwhile.
    pub(super) fn insert(
        &self,
        epoch: Epoch,
        connection: &ConnectionName,
        scope_key: &str,
        token: &Arc<AccessToken>,
        now: Timestamp,
    ) {
        let current = lock(&self.epoch);
        if *current != epoch {
            return;
        }
        let sets = self.connections.get_with_by_ref(connection, ScopeSets::default);
        let mut sets = lock(&sets);
        if !sets.contains_key(scope_key) && u64::try_from(sets.len()).unwrap_or(u64::MAX) >= MAX_SCOPE_SETS {
            sets.clear();
        }
        sets.insert(scope_key.to_owned(), Entry { token: Arc::clone(token), since: now });
        drop(sets);
        drop(current);
    }

    /// Forgets a connection; to be called after the change in the database is durable.
    pub(super) fn invalidate(&self, connection: &ConnectionName) {
        let mut epoch = lock(&self.epoch);
        epoch.0 = epoch.0.wrapping_add(1);
        self.connections.invalidate(connection);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use service_kit::secret::SecretString;

    use super::*;
    use crate::domain::{scopes::ScopeSet, token::TokenHash};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn name() -> ConnectionName {
        ConnectionName::parse("tenants/a/connections/b").unwrap()
    }

    fn token() -> Arc<AccessToken> {
        let value = Arc::new(SecretString::new("t".to_owned()));
        Arc::new(AccessToken {
            hash: TokenHash::of(&value),
            value,
            token_type: "Bearer".to_owned(),
            scopes: ScopeSet::default(),
            obtain_time: NOW,
            expire_time: NOW.saturating_add(Duration::from_hours(1)),
        })
    }

    #[test]
    fn an_entry_is_believed_for_a_while() {
        let cache = TokenCache::new();
        cache.insert(cache.epoch(), &name(), "s", &token(), NOW);
        assert!(cache.get(&name(), "s", NOW).is_some());
        assert!(cache.get(&name(), "other", NOW).is_none());
        assert!(cache.get(&name(), "s", NOW.saturating_add(BELIEVED_FOR)).is_none());
        assert!(cache.get(&name(), "s", NOW.saturating_sub(Duration::from_secs(1))).is_none());
    }

    #[test]
    fn what_was_read_before_an_invalidation_is_not_put_in_after_it() {
        let cache = TokenCache::new();
        let before = cache.epoch();
        cache.invalidate(&name());
        cache.insert(before, &name(), "s", &token(), NOW);
        assert!(cache.get(&name(), "s", NOW).is_none());
        cache.insert(cache.epoch(), &name(), "s", &token(), NOW);
        cache.invalidate(&name());
        assert!(cache.get(&name(), "s", NOW).is_none());
    }

    #[test]
    fn sets_of_scopes_of_one_connection_are_bounded() {
        let cache = TokenCache::new();
        for number in 0..=MAX_SCOPE_SETS {
            cache.insert(cache.epoch(), &name(), &number.to_string(), &token(), NOW);
        }
        let kept = (0..=MAX_SCOPE_SETS).filter(|n| cache.get(&name(), &n.to_string(), NOW).is_some()).count();
        assert_eq!(kept, 1);
    }
}
