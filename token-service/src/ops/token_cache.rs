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
    domain::{
        names::ConnectionName,
        refresh_schedule::{is_in_use, refresh_ahead_time},
        scopes::ScopeSet,
        token::AccessToken,
    },
    store::MAX_SCOPE_SETS,
};

/// Most connections whose tokens are in memory; those asked for least make room.
const MAX_CONNECTIONS: u64 = 100_000;
/// How long an entry is believed without asking the database.
const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Connections that nobody asks for leave memory. Longer than the usual life of a token, so that those in use are refreshed ahead.
const IDLE: Duration = Duration::from_mins(100);
/// Pause between tries to refresh a token ahead of its end.
const AHEAD_PAUSE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Entry {
    token: Arc<AccessToken>,
    since: Timestamp,
    /// When somebody last asked for it.
    used_time: Timestamp,
    /// Not refreshed ahead before this: the last try failed, or is under way.
    ahead_pause: Timestamp,
}

/// By the scopes that callers ask for; the connection's own have the empty set.
type ScopeSets = Arc<Mutex<HashMap<ScopeSet, Entry>>>;

/// A token that is in use and should be replaced before a caller must wait.
#[derive(Clone, Debug)]
pub(super) struct DueToken {
    pub(super) connection: ConnectionName,
    pub(super) asked: ScopeSet,
    pub(super) token: Arc<AccessToken>,
}

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
        asked: &ScopeSet,
        now: Timestamp,
    ) -> Option<Arc<AccessToken>> {
        let entry = self.entry(connection, asked, Some(now))?;
        let is_believed = now >= entry.since && now.duration_since(entry.since) < BELIEVED_FOR;
        is_believed.then_some(entry.token)
    }

    /// The same however old the entry is, for when the database cannot be asked.
    pub(super) fn get_unverified(
        &self,
        connection: &ConnectionName,
        asked: &ScopeSet,
    ) -> Option<Arc<AccessToken>> {
        self.entry(connection, asked, None).map(|entry| entry.token)
    }

    fn entry(&self, connection: &ConnectionName, asked: &ScopeSet, used: Option<Timestamp>) -> Option<Entry> {
        let sets = self.connections.get(connection)?;
        let mut sets = lock(&sets);
        let entry = sets.get_mut(asked)?;
        entry.used_time = used.unwrap_or(entry.used_time);
        Some(entry.clone())
    }

    /// Up to `limit` tokens that are in use and due to be replaced. They are not due again for a while.
    pub(super) fn take_due(&self, now: Timestamp, limit: usize) -> Vec<DueToken> {
        let mut due = Vec::new();
        for (connection, sets) in &self.connections {
            for (asked, entry) in lock(&sets).iter_mut() {
                if due.len() >= limit {
                    return due;
                }
                let token = &entry.token;
                let is_due = refresh_ahead_time(token, token.hash.chance()) <= now
                    && is_in_use(token, entry.used_time, now)
                    && entry.ahead_pause <= now;
                if is_due {
                    entry.ahead_pause = now.saturating_add(AHEAD_PAUSE);
                    let (connection, asked) = (ConnectionName::clone(&connection), asked.clone());
                    due.push(DueToken { connection, asked, token: Arc::clone(token) });
                }
            }
        }
        due
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
        asked: &ScopeSet,
        token: &Arc<AccessToken>,
        now: Timestamp,
    ) {
        let current = lock(&self.epoch);
        if *current != epoch {
            return;
        }
        let sets = self.connections.get_with_by_ref(connection, ScopeSets::default);
        let mut sets = lock(&sets);
        if !sets.contains_key(asked) && u64::try_from(sets.len()).unwrap_or(u64::MAX) >= MAX_SCOPE_SETS {
            sets.clear();
        }
        // Whoever replaces a token ahead of time does not use it.
        let used_time = sets.get(asked).map_or(now, |entry| entry.used_time);
        let entry = Entry { token: Arc::clone(token), since: now, used_time, ahead_pause: now };
        sets.insert(asked.clone(), entry);
        drop(sets);
        drop(current);
    }

    /// Forgets every connection.
    pub(super) fn invalidate_all(&self) {
        let mut epoch = lock(&self.epoch);
        epoch.0 = epoch.0.wrapping_add(1);
        self.connections.invalidate_all();
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
    use crate::domain::token::TokenHash;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn set(scope: &str) -> ScopeSet {
        ScopeSet::parse([scope]).unwrap()
    }

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
            advised_refresh_time: None,
        })
    }

    #[test]
    fn an_entry_is_believed_for_a_while() {
        let cache = TokenCache::new();
        cache.insert(cache.epoch(), &name(), &set("s"), &token(), NOW);
        assert!(cache.get(&name(), &set("s"), NOW).is_some());
        assert!(cache.get(&name(), &set("other"), NOW).is_none());
        assert!(cache.get(&name(), &set("s"), NOW.saturating_add(BELIEVED_FOR)).is_none());
        assert!(cache.get(&name(), &set("s"), NOW.saturating_sub(Duration::from_secs(1))).is_none());
    }

    #[test]
    fn what_was_read_before_an_invalidation_is_not_put_in_after_it() {
        let cache = TokenCache::new();
        let before = cache.epoch();
        cache.invalidate(&name());
        cache.insert(before, &name(), &set("s"), &token(), NOW);
        assert!(cache.get(&name(), &set("s"), NOW).is_none());
        cache.insert(cache.epoch(), &name(), &set("s"), &token(), NOW);
        cache.invalidate(&name());
        assert!(cache.get(&name(), &set("s"), NOW).is_none());
    }

    #[test]
    fn sets_of_scopes_of_one_connection_are_bounded() {
        let cache = TokenCache::new();
        for number in 0..=MAX_SCOPE_SETS {
            cache.insert(cache.epoch(), &name(), &set(&number.to_string()), &token(), NOW);
        }
        let kept =
            (0..=MAX_SCOPE_SETS).filter(|n| cache.get(&name(), &set(&n.to_string()), NOW).is_some()).count();
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_token_in_use_is_due_before_its_end_and_one_that_nobody_asks_for_is_not() {
        let cache = TokenCache::new();
        cache.insert(cache.epoch(), &name(), &set("s"), &token(), NOW);
        assert!(cache.take_due(NOW, 10).is_empty());
        let late = NOW.saturating_add(Duration::from_mins(50));
        assert!(cache.take_due(late, 0).is_empty());
        assert_eq!(cache.take_due(late, 10).len(), 1);
        assert!(cache.take_due(late, 10).is_empty(), "it is under way");
        assert_eq!(cache.take_due(late.saturating_add(AHEAD_PAUSE), 10).len(), 1, "it failed");
        let later = NOW.saturating_add(Duration::from_mins(61));
        assert!(cache.take_due(later, 10).is_empty(), "nobody asked for an hour");
        cache.get(&name(), &set("s"), later);
        assert_eq!(cache.take_due(later, 10).len(), 1);
    }
}
