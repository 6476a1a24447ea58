//! Looks into the database after every transaction, as nobody in the service does, and keeps what ever was durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use service_kit::clock::Timestamp;
use token_service::{
    crypto::{DataKey, FileKeyring, Place},
    domain::{
        connection::{StateKind, StoredConnection},
        names::ConnectionName,
        refresh_lease::{LEASE_MARGIN, TAKEOVER_PAUSE},
        scopes::ScopeSet,
        token::TokenHash,
    },
    store::{Store, StoredAccessToken, access_token_row, places, scope_key},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    provider::number_of,
    replica::{ModelClock, NEVER, PROVIDER_TIMEOUT},
    world::SKEW,
};

/// An access token that was durable.
#[derive(Clone, Debug)]
pub(super) struct Durable {
    pub(super) scopes: ScopeSet,
    pub(super) hash: TokenHash,
    pub(super) generation: i64,
    pub(super) expire_time: Timestamp,
    /// When it became durable.
    pub(super) since: i64,
    /// In which step that was.
    pub(super) step: u64,
}

/// What is known about a connection.
pub(super) struct Record {
    /// The text of the token that is shared now, by its scopes.
    shared: BTreeMap<String, String>,
    /// The tokens that some caller said were rejected.
    pub(super) rejected: BTreeSet<String>,
    /// When each token that was good still ceased to be shared.
    pub(super) let_go: BTreeMap<String, i64>,
    pub(super) name: ConnectionName,
    pub(super) generation: i64,
    /// Number of the stored refresh token.
    pub(super) refresh_token: usize,
    pub(super) state: StateKind,
    pub(super) has_needed_reauth: bool,
    /// Every refresh token that ever was durable.
    pub(super) kept: BTreeSet<usize>,
    /// Every access token that ever was durable, by its text.
    pub(super) tokens: BTreeMap<String, Durable>,
    by_generation: BTreeMap<i64, String>,
    pub(super) lease_epoch: i64,
    pub(super) losses: u32,
    /// Whether it was not given back yet.
    is_leased: bool,
    /// When and in which step the lease was taken.
    pub(super) lease_time: i64,
    pub(super) lease_step: u64,
}

impl Record {
    /// The token of a set of scopes that is shared now.
    pub(super) fn shared(&self, scopes: &ScopeSet) -> Option<&Durable> {
        self.tokens.get(self.shared.get(&scopes.to_string())?)
    }

    /// A caller said that the resource refused the latest token. Gives its hash.
    pub(super) fn reject_latest(&mut self, scopes: &ScopeSet) -> Option<TokenHash> {
        let hash = self.latest(scopes)?.hash;
        let text = self.tokens.iter().find(|(_, token)| token.hash == hash).map(|(text, _)| text.clone());
        self.rejected.extend(text);
        Some(hash)
    }

    /// The latest durable token of a set of scopes.
    pub(super) fn latest(&self, scopes: &ScopeSet) -> Option<&Durable> {
        self.tokens.values().filter(|token| token.scopes == *scopes).max_by_key(|token| token.generation)
    }
}

pub(super) struct Auditor {
    runtime: Runtime,
    database: DatabaseConnection,
    /// The version of the database that was looked at last.
    version: i64,
    store: Store,
    keyring: FileKeyring,
    scope_sets: Vec<ScopeSet>,
    pub(super) records: Vec<Record>,
}

impl Auditor {
    pub(super) fn open(folder: &Path, clock: &ModelClock, scope_sets: Vec<ScopeSet>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut options = ConnectOptions::new(format!("sqlite:{}", folder.join("token.db").display()));
        options.max_connections(1).sqlx_logging(false);
        let database = runtime.block_on(Database::connect(options)).unwrap();
        Self {
            runtime,
            version: 0,
            store: Store::new(database.clone(), NEVER, Arc::new(clock.clone())),
            database,
            keyring: FileKeyring::read(&folder.join("keyring.toml")).unwrap(),
            scope_sets,
            records: Vec::new(),
        }
    }

    /// Begins to look after a connection that was just made.
    pub(super) fn adopt(&mut self, name: ConnectionName) {
        self.version = 0;
        self.records.push(Record {
            shared: BTreeMap::new(),
            rejected: BTreeSet::new(),
            let_go: BTreeMap::new(),
            name,
            generation: 0,
            refresh_token: 0,
            state: StateKind::Active,
            has_needed_reauth: false,
            kept: BTreeSet::new(),
            tokens: BTreeMap::new(),
            by_generation: BTreeMap::new(),
            lease_epoch: 0,
            losses: 0,
            is_leased: false,
            lease_time: 0,
            lease_step: 0,
        });
    }

    /// Reads what changed. `now` and `step` say when it did. Gives the connections that need a person from now on.
    pub(super) fn look(&mut self, now: i64, step: u64) -> Vec<usize> {
        let Self { runtime, database, version, store, keyring, scope_sets, records } = self;
        let mut lost = Vec::new();
        let current = runtime.block_on(data_version(database));
        if std::mem::replace(version, current) == current {
            return lost;
        }
        for (number, record) in records.iter_mut().enumerate() {
            runtime.block_on(async {
                if let Some(lease) = store.find_lease(&record.name).await.unwrap() {
                    if lease.epoch != record.lease_epoch {
                        assert!(lease.epoch > record.lease_epoch, "the epoch of a lease went back");
                        let age = now - record.lease_time;
                        assert!(
                            !record.is_leased || age >= undisturbed_lease(),
                            "a lease that was not given back was taken over after {age} ms"
                        );
                        record.lease_epoch = lease.epoch;
                        (record.lease_time, record.lease_step) = (now, step);
                    }
                    record.is_leased = lease.owner.is_some();
                    record.losses = lease.aftermath.losses;
                }
                let stored = store.get_connection(&record.name).await.unwrap();
                let key = if stored.connection.generation == record.generation {
                    None
                } else {
                    let key = data_key(keyring, &stored).await;
                    if record.note(&stored, &key) {
                        lost.push(number);
                    }
                    Some(key)
                };
                for scopes in scope_sets.iter() {
                    let token = store.find_access_token(&record.name, &scope_key(scopes)).await.unwrap();
                    match (token, &key) {
                        (Some(token), Some(key)) => record.note_token(key, scopes, &token, (now, step)),
                        // Tokens are stored with a new generation only.
                        (Some(_), None) => {}
                        (None, _) => record.note_absence(scopes, now),
                    }
                }
            });
        }
        lost
    }
}

impl Record {
    /// Says whether the connection needs a person from now on.
    fn note(&mut self, stored: &StoredConnection, key: &DataKey) -> bool {
        let (connection, credential) = (&stored.connection, &stored.credential);
        assert!(connection.generation > self.generation, "the generation went back");
        self.generation = connection.generation;
        let row = connection.name.to_string();
        let place = Place {
            table: places::CONNECTIONS,
            column: places::REFRESH_TOKEN,
            row: &row,
            generation: credential.refresh_token_generation,
        };
        let (_, token) = number_of(&key.open(&place, &credential.refresh_token).unwrap());
        assert!(token >= self.refresh_token, "refresh token {token} took the place of a newer one");
        self.refresh_token = token;
        self.kept.insert(token);
        let is_lost =
            connection.state.kind() == StateKind::NeedsReauth && self.state != StateKind::NeedsReauth;
        self.state = connection.state.kind();
        self.has_needed_reauth |= is_lost;
        is_lost
    }

    fn note_token(&mut self, key: &DataKey, scopes: &ScopeSet, token: &StoredAccessToken, when: (i64, u64)) {
        let row = access_token_row(&token.connection, &token.scope_key);
        let place = Place {
            table: places::ACCESS_TOKENS,
            column: places::ACCESS_TOKEN,
            row: &row,
            generation: token.generation,
        };
        let secret = key.open(&place, &token.access_token).unwrap();
        let text = secret.expose().to_owned();
        self.shared.insert(scopes.to_string(), text.clone());
        let other = self.by_generation.insert(token.generation, text.clone());
        assert!(other.is_none_or(|other| other == text), "one generation has two access tokens");
        self.tokens.entry(text).or_insert(Durable {
            scopes: scopes.clone(),
            hash: TokenHash::of(&secret),
            generation: token.generation,
            expire_time: token.expire_time,
            since: when.0,
            step: when.1,
        });
    }
}

impl Record {
    /// No token of these scopes is shared. One that was, and is good still, was let go of: only because somebody said that it was
    /// rejected, and the provider refused the connection, too.
    fn note_absence(&mut self, scopes: &ScopeSet, now: i64) {
        let Some(text) = self.shared.remove(&scopes.to_string()) else { return };
        if self.tokens[&text].expire_time.as_millis() <= now + SKEW {
            return;
        }
        assert!(
            self.rejected.contains(&text) && self.state == StateKind::NeedsReauth,
            "a good token is not shared any more: {text}"
        );
        self.let_go.insert(text, now);
    }
}

/// For so long a lease that is not given back is its owner's, in milliseconds: while the request may be under way, and then until the owner,
/// had it only been cut off, has stored what came.
fn undisturbed_lease() -> i64 {
    i64::try_from((PROVIDER_TIMEOUT + LEASE_MARGIN + TAKEOVER_PAUSE).as_millis()).unwrap()
}

/// It changes whenever another connection to the database committed something.
async fn data_version(database: &DatabaseConnection) -> i64 {
    let row = database.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA data_version")).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn data_key(keyring: &FileKeyring, stored: &StoredConnection) -> DataKey {
    let (credential, row) = (&stored.credential, stored.connection.name.to_string());
    let version = credential.data_key_version;
    let place =
        Place { table: places::CONNECTIONS, column: places::DATA_KEY, row: &row, generation: version };
    DataKey::unwrap(keyring, version, &credential.data_key, &place).await.unwrap()
}
