//! Access tokens as they are kept and handed out.

use std::{sync::Arc, time::Duration};

use service_kit::{clock::Timestamp, secret::SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::scopes::ScopeSet;

/// SHA-256 of an access token: names a token without being one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes a hash that a caller sent; nothing unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash of a token.
    pub fn of(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose().as_bytes()).into())
    }

    /// A number that is as good as random, and the same for the same token.
    pub fn chance(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What access tokens have in common: most of one application are of one kind.
#[derive(PartialEq, Eq, Hash, Debug)]
pub struct TokenKind {
    /// How to present it, normally `Bearer`.
    pub token_type: String,
    /// Scopes the provider granted.
    pub scopes: ScopeSet,
}

/// An access token with what is known about it.
#[derive(Debug)]
pub struct AccessToken {
    /// The token. A secret.
    pub value: Arc<SecretString>,
    /// What it has in common with others.
    pub kind: Arc<TokenKind>,
    /// When it was obtained.
    pub obtain_time: Timestamp,
    /// When it ends.
    pub expire_time: Timestamp,
    /// When the provider advises to replace it (`refresh_in`), where it does.
    pub advised_refresh_time: Option<Timestamp>,
    /// Its hash, computed once.
    pub hash: TokenHash,
}

impl AccessToken {
    /// How long it lived when it was new.
    pub fn lifetime(&self) -> Duration {
        self.expire_time.duration_since(self.obtain_time)
    }

    /// How long it still lives; zero once it ended.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expire_time.duration_since(now)
    }
}
