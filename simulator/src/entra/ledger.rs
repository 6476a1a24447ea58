//! Everything Entra has issued and been told: access tokens, refresh tokens and their families, codes, sessions, consents.

pub(crate) mod access;
pub(crate) mod code;
pub(crate) mod consent;
pub(crate) mod device;
pub(crate) mod refresh;

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::access::Access;
use self::code::{CodeGrant, Pending};
use self::consent::Consents;
use self::device::DeviceGrant;
use self::refresh::{Family, Refresh};
use crate::config::User;
use crate::mix::Sequence;

/// Most access tokens remembered; the oldest are forgotten first and then count as unknown.
const MAX_ACCESS_TOKENS: usize = 200_000;
/// Most refresh tokens remembered; the oldest are forgotten first and then count as unknown.
const MAX_REFRESH_TOKENS: usize = 200_000;
/// Most sign-ins remembered; one more, and everybody has to sign in again.
const MAX_FAMILIES: usize = 1_000_000;
/// Most device codes remembered; the oldest are forgotten first and then count as unknown.
const MAX_DEVICE_CODES: usize = 10_000;
/// Most authorization codes remembered; the oldest are forgotten first and then count as unknown.
const MAX_CODES: usize = 10_000;
/// Most sign-in pages that wait for a person; the oldest are forgotten first and then have to be opened anew.
const MAX_PENDING: usize = 10_000;
/// Most browsers remembered as signed in; the oldest are forgotten first and then have to sign in again.
const MAX_SESSIONS: usize = 10_000;
/// Most client assertions remembered as used.
const MAX_ASSERTIONS: usize = 100_000;

/// Everything that was issued.
pub(crate) struct Ledger {
    access: Book<Access>,
    refresh: Book<Refresh>,
    devices: Book<DeviceGrant>,
    codes: Book<CodeGrant>,
    pending: Book<Pending>,
    sessions: Book<User>,
    /// Identifiers of client assertions that were used.
    assertions: Book<()>,
    /// By object id of the user, the second since which challenges have to be answered.
    challenges: BTreeMap<String, u64>,
    /// Who consented to what.
    pub(super) consents: Consents,
    families: Vec<Family>,
    random: Sequence,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// A ledger without entries.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            access: Book::new(MAX_ACCESS_TOKENS),
            refresh: Book::new(MAX_REFRESH_TOKENS),
            devices: Book::new(MAX_DEVICE_CODES),
            codes: Book::new(MAX_CODES),
            pending: Book::new(MAX_PENDING),
            sessions: Book::new(MAX_SESSIONS),
            assertions: Book::new(MAX_ASSERTIONS),
            challenges: BTreeMap::new(),
            consents: Consents::default(),
            families: Vec::new(),
            random: Sequence::new(seed),
        }
    }

    /// The next random number, for what has to be drawn in the order of what was issued.
    pub(super) fn random(&mut self) -> &mut Sequence {
        &mut self.random
    }

    /// Notes that a client assertion was used; false when it had been before.
    pub(super) fn first_use(&mut self, assertion: &str) -> bool {
        let first = self.assertions.get(assertion).is_none();
        if first {
            self.assertions.insert(assertion.to_owned(), ());
        }
        first
    }

    /// A new secret with a recognisable beginning.
    fn secret(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(self.random.bytes::<33>()))
    }
}

/// Entries by secret, with a bound.
struct Book<T> {
    entries: HashMap<String, T>,
    order: VecDeque<String>,
    most: usize,
}

impl<T> Book<T> {
    fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most }
    }

    fn insert(&mut self, secret: String, entry: T) {
        while self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(secret.clone());
        self.entries.insert(secret, entry);
    }

    fn get(&self, secret: &str) -> Option<&T> {
        self.entries.get(secret)
    }

    fn remove(&mut self, secret: &str) -> Option<T> {
        let entry = self.entries.remove(secret)?;
        self.order.retain(|known| known != secret);
        Some(entry)
    }

    fn get_mut(&mut self, secret: &str) -> Option<&mut T> {
        self.entries.get_mut(secret)
    }
}
