//! Everything Entra has issued: access tokens, refresh tokens and their families, device codes.

pub(crate) mod access;
pub(crate) mod device;
pub(crate) mod refresh;

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::access::Access;
use self::device::DeviceGrant;
use self::refresh::{Family, Refresh};
use crate::mix::Sequence;

/// Most access tokens remembered; the oldest are forgotten first and then count as unknown.
const MAX_ACCESS_TOKENS: usize = 200_000;
/// Most refresh tokens remembered; the oldest are forgotten first and then count as unknown.
const MAX_REFRESH_TOKENS: usize = 200_000;
/// Most sign-ins remembered; one more, and everybody has to sign in again.
const MAX_FAMILIES: usize = 1_000_000;
/// Most device codes remembered; the oldest are forgotten first and then count as unknown.
const MAX_DEVICE_CODES: usize = 10_000;

/// Everything that was issued.
pub(crate) struct Ledger {
    access: Book<Access>,
    refresh: Book<Refresh>,
    devices: Book<DeviceGrant>,
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
            families: Vec::new(),
            random: Sequence::new(seed),
        }
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

    fn get_mut(&mut self, secret: &str) -> Option<&mut T> {
        self.entries.get_mut(secret)
    }
}
