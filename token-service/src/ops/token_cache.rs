//! Access tokens in memory: the way of nearly every request.
//!
//! What other replicas delete or mend is forgotten as soon as the feed of changes tells, within a second. Beyond that an entry is
//! believed for [`BELIEVED_FOR`] only, then the database is asked again.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use service_kit::clock::Timestamp;

use crate::{
    domain::{
        names::ConnectionName,
        refresh_schedule::{is_in_use, refresh_ahead_time},
        scopes::ScopeSet,
        token::{AccessToken, TokenKind},
    },
    store::MAX_SCOPE_SETS,
};

/// Connections are spread over so many maps, each with a lock of its own.
const SHARDS: usize = 64;
/// Most connections of one map; the one asked for longest ago makes room. 131,072 in all.
const MAX_CONNECTIONS_PER_SHARD: usize = 2048;
/// How long an entry is believed without asking the database: long enough that reading again is nothing beside refreshing, and
/// short beside the life of a token.
const BELIEVED_FOR: Duration = Duration::from_mins(5);
/// How long the token of a connection that the provider refused is: no other replica tells when a caller's rejection ends it.
const BELIEVED_BRIEFLY: Duration = Duration::from_secs(1);
/// Connections that nobody asks for leave memory. Longer than the usual life of a token, so that those in use are refreshed ahead.
const IDLE: Duration = Duration::from_mins(100);
/// Pause between tries to refresh a token ahead of its end.
const AHEAD_PAUSE: Duration = Duration::from_secs(20);
/// Most kinds of tokens that are kept once for all tokens of the kind. There are few: one for each list of granted scopes.
const MAX_KINDS: usize = 256;

struct Entry {
    /// The scopes that callers ask for; none means the connection's own.
    asked: ScopeSet,
    token: Arc<AccessToken>,
    since: Timestamp,
    /// When somebody last asked for it.
    used_time: Timestamp,
    /// When it is due to be refreshed ahead; after a try, when to try again.
    ahead_time: Timestamp,
}

/// The tokens of each connection: mostly one, so a list is smaller than a map, and no slower.
type Shard = HashMap<ConnectionName, Vec<Entry>>;

/// A token that is in use and should be replaced before a caller must wait.
#[derive(Clone, Debug)]
pub(super) struct DueToken {
    pub(super) connection: ConnectionName,
    pub(super) asked: ScopeSet,
    pub(super) token: Arc<AccessToken>,
}

impl DueToken {
    /// What to refresh first.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (self.token.expire_time, &self.connection, &self.asked)
    }
}

/// A moment in the life of the cache: what was read before an invalidation is not put in after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Epoch(u64);

/// Tokens in memory.
pub(super) struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
    max_per_shard: usize,
    hasher: RandomState,
    /// The shard at which the next look for due tokens begins.
    next_look: AtomicUsize,
    kinds: Mutex<HashSet<Arc<TokenKind>>>,
    epoch: Mutex<Epoch>,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self::bounded(SHARDS, MAX_CONNECTIONS_PER_SHARD)
    }

    fn bounded(shards: usize, max_per_shard: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            max_per_shard,
            hasher: RandomState::new(),
            next_look: AtomicUsize::new(0),
            kinds: Mutex::default(),
            epoch: Mutex::new(Epoch(0)),
        }
    }

    /// The map that a connection is in.
    fn shard(&self, connection: &ConnectionName) -> Option<MutexGuard<'_, Shard>> {
        let hash = usize::try_from(self.hasher.hash_one(connection) >> 32).unwrap_or_default();
        self.shards.get(hash % self.shards.len()).map(lock)
    }

    /// The token of a connection and a set of scopes, unless the database should be asked.
    pub(super) fn get(
        &self,
        connection: &ConnectionName,
        asked: &ScopeSet,
        now: Timestamp,
    ) -> Option<Arc<AccessToken>> {
        let mut shard = self.shard(connection)?;
        let entry = shard.get_mut(connection)?.iter_mut().find(|entry| entry.asked == *asked)?;
        entry.used_time = now;
        let is_believed = now >= entry.since && now.duration_since(entry.since) < BELIEVED_FOR;
        is_believed.then(|| Arc::clone(&entry.token))
    }

    /// The same however old the entry is, for when the database cannot be asked.
    pub(super) fn get_unverified(
        &self,
        connection: &ConnectionName,
        asked: &ScopeSet,
    ) -> Option<Arc<AccessToken>> {
        let shard = self.shard(connection)?;
        let entry = shard.get(connection)?.iter().find(|entry| entry.asked == *asked)?;
        Some(Arc::clone(&entry.token))
    }

    /// Up to `limit` tokens that are in use and due to be replaced. They are not due again for a while.
    pub(super) fn take_due(&self, now: Timestamp, limit: usize) -> Vec<DueToken> {
        let mut due = Vec::new();
        // Where the last look stopped: what is due first in the order of maps must not keep the rest waiting.
        let first = self.next_look.load(Ordering::Relaxed);
        for number in first..first + self.shards.len() {
            let number = number % self.shards.len();
            let Some(mut shard) = self.shards.get(number).map(lock) else { continue };
            for (connection, entries) in shard.iter_mut() {
                for entry in entries {
                    if entry.ahead_time > now || !is_in_use(&entry.token, entry.used_time, now) {
                        continue;
                    }
                    if due.len() >= limit {
                        self.next_look.store(number, Ordering::Relaxed);
                        return due;
                    }
                    entry.ahead_time = now.saturating_add(AHEAD_PAUSE);
                    let (connection, asked) = (connection.clone(), entry.asked.clone());
                    due.push(DueToken { connection, asked, token: Arc::clone(&entry.token) });
                }
            }
        }
        due
    }

    /// Forgets connections that nobody asked for.
    pub(super) fn forget_idle(&self, now: Timestamp) {
        for shard in &self.shards {
            lock(shard).retain(|_, entries| now.duration_since(last_use(entries)) < IDLE);
        }
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
        self.put(epoch, (connection, asked), token, now, now);
    }

    /// The same for a token of a connection that needs a person: the database is asked again soon.
    pub(super) fn insert_briefly(
        &self,
        epoch: Epoch,
        connection: &ConnectionName,
        asked: &ScopeSet,
        token: &Arc<AccessToken>,
        now: Timestamp,
    ) {
        let since = now.saturating_sub(BELIEVED_FOR.saturating_sub(BELIEVED_BRIEFLY));
        self.put(epoch, (connection, asked), token, since, now);
    }

    fn put(
        &self,
        epoch: Epoch,
        (connection, asked): (&ConnectionName, &ScopeSet),
        token: &Arc<AccessToken>,
        since: Timestamp,
        now: Timestamp,
    ) {
        let token = self.with_known_kind(token);
        let ahead_time = refresh_ahead_time(&token, token.hash.chance());
        let current = lock(&self.epoch);
        if *current != epoch {
            return;
        }
        let Some(mut shard) = self.shard(connection) else { return };
        if !shard.contains_key(connection) {
            self.make_room(&mut shard);
            shard.insert(connection.clone(), Vec::with_capacity(1));
        }
        let Some(entries) = shard.get_mut(connection) else { return };
        if let Some(entry) = entries.iter_mut().find(|entry| entry.asked == *asked) {
            // Whoever replaces a token ahead of time does not use it.
            let (asked, used_time) = (std::mem::take(&mut entry.asked), entry.used_time);
            *entry = Entry { asked, token, since, used_time, ahead_time };
        } else {
            if u64::try_from(entries.len()).unwrap_or(u64::MAX) >= MAX_SCOPE_SETS {
                entries.clear();
            }
            entries.push(Entry { asked: asked.clone(), token, since, used_time: now, ahead_time });
        }
        drop(shard);
        drop(current);
    }

    /// Lets go of the connection asked for longest ago when a map is full. That looks at all of it, which takes less than the
    /// reading from the database that came before.
    fn make_room(&self, shard: &mut Shard) {
        if shard.len() < self.max_per_shard {
            return;
        }
        let idlest = shard.iter().min_by_key(|(_, entries)| last_use(entries)).map(|(name, _)| name.clone());
        if let Some(idlest) = idlest {
            shard.remove(&idlest);
        }
    }

    /// The same token, which shares with others what they have in common.
    fn with_known_kind(&self, token: &Arc<AccessToken>) -> Arc<AccessToken> {
        let mut kinds = lock(&self.kinds);
        if let Some(kind) = kinds.get(&token.kind) {
            let token = AccessToken { value: Arc::clone(&token.value), kind: Arc::clone(kind), ..**token };
            return Arc::new(token);
        }
        if kinds.len() >= MAX_KINDS {
            kinds.clear();
        }
        kinds.insert(Arc::clone(&token.kind));
        Arc::clone(token)
    }

    /// Forgets every connection.
    pub(super) fn invalidate_all(&self) {
        let mut epoch = lock(&self.epoch);
        epoch.0 = epoch.0.wrapping_add(1);
        for shard in &self.shards {
            lock(shard).clear();
        }
    }

    /// Forgets a connection; to be called after the change in the database is durable.
    pub(super) fn invalidate(&self, connection: &ConnectionName) {
        let mut epoch = lock(&self.epoch);
        epoch.0 = epoch.0.wrapping_add(1);
        if let Some(mut shard) = self.shard(connection) {
            shard.remove(connection);
        }
    }
}

fn last_use(entries: &[Entry]) -> Timestamp {
    entries.iter().map(|entry| entry.used_time).max().unwrap_or(Timestamp::from_millis(0))
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
            kind: Arc::new(TokenKind { token_type: "Bearer".to_owned(), scopes: ScopeSet::default() }),
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
    fn a_token_of_a_connection_that_was_refused_is_believed_for_a_second() {
        let cache = TokenCache::new();
        cache.insert_briefly(cache.epoch(), &name(), &set("s"), &token(), NOW);
        let held =
            [Duration::ZERO, BELIEVED_BRIEFLY.saturating_sub(Duration::from_millis(1)), BELIEVED_BRIEFLY]
                .map(|age| cache.get(&name(), &set("s"), NOW.saturating_add(age)).is_some());
        assert_eq!(held, [true, true, false]);
        assert!(cache.get_unverified(&name(), &set("s")).is_some());
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

    #[test]
    fn a_full_map_lets_go_of_what_was_asked_for_longest_ago() {
        let cache = TokenCache::bounded(1, 2);
        let name = |id: &str| ConnectionName::parse(&format!("tenants/a/connections/{id}")).unwrap();
        let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
        for (seconds, id) in [(0, "first"), (1, "second")] {
            cache.insert(cache.epoch(), &name(id), &set("s"), &token(), at(seconds));
        }
        assert!(cache.get(&name("first"), &set("s"), at(2)).is_some());
        cache.insert(cache.epoch(), &name("third"), &set("s"), &token(), at(3));
        let held = ["first", "second", "third"].map(|id| cache.get(&name(id), &set("s"), at(3)).is_some());
        assert_eq!(held, [true, false, true]);
    }

    #[test]
    fn what_nobody_asks_for_leaves_memory() {
        let cache = TokenCache::new();
        cache.insert(cache.epoch(), &name(), &set("s"), &token(), NOW);
        cache.forget_idle(NOW.saturating_add(IDLE).saturating_sub(Duration::from_secs(1)));
        assert!(cache.get_unverified(&name(), &set("s")).is_some());
        cache.forget_idle(NOW.saturating_add(IDLE));
        assert!(cache.get_unverified(&name(), &set("s")).is_none());
    }

    #[test]
    fn tokens_share_what_they_have_in_common() {
        let cache = TokenCache::new();
        for scope in ["s", "t"] {
            cache.insert(cache.epoch(), &name(), &set(scope), &token(), NOW);
        }
        let held = ["s", "t"].map(|scope| cache.get(&name(), &set(scope), NOW).unwrap());
        assert!(!Arc::ptr_eq(&held[0], &held[1]) && Arc::ptr_eq(&held[0].kind, &held[1].kind));
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_stopped() {
        let cache = TokenCache::new();
        let names: Vec<_> =
            (0..200).map(|n| ConnectionName::parse(&format!("tenants/a/connections/{n}")).unwrap()).collect();
        for name in &names {
            cache.insert(cache.epoch(), name, &set("s"), &token(), NOW);
        }
        // Each try fails, so that all are due again by the next look.
        let mut late = NOW.saturating_add(Duration::from_mins(50));
        let mut seen = HashSet::new();
        for _ in 0..20 {
            seen.extend(cache.take_due(late, 20).into_iter().map(|due| due.connection));
            late = late.saturating_add(AHEAD_PAUSE);
        }
        assert_eq!(seen.len(), names.len());
    }
}
