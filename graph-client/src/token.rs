//! Access tokens, and where they come from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A bearer token. Its text leaves this type only into an `Authorization` header towards Graph.
pub struct AccessToken {
    text: Zeroizing<String>,
    expires_unix_ms: i64,
}

impl AccessToken {
    /// Wraps a token and the time it expires at, in milliseconds since the Unix epoch.
    pub fn new(text: String, expires_unix_ms: i64) -> Self {
        Self { text: Zeroizing::new(text), expires_unix_ms }
    }

    /// When it expires, in milliseconds since the Unix epoch.
    pub const fn expires_unix_ms(&self) -> i64 {
        self.expires_unix_ms
    }

    /// SHA-256 of the token's text: names the token to whoever issued it, without showing it.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }

    /// The text, for the one header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Gives access tokens for one connection.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that Graph is expected to accept. Called once per request sent, so the implementor caches.
    async fn token(&self) -> Result<Arc<AccessToken>, TokenError>;

    /// Graph answered 401 to `token`. Gives another one; called at most twice per call of the client. `claims` is the decoded
    /// claims challenge (JSON) of Continuous Access Evaluation, if the answer carried one: the new token must satisfy it.
    async fn rejected(
        &self,
        token: &AccessToken,
        claims: Option<String>,
    ) -> Result<Arc<AccessToken>, TokenError>;
}

/// Why there is no token. Its texts reach logs and people, so they hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no access token: {message}")]
pub struct TokenError {
    /// Whether only a person can change that, for example by signing in again.
    pub needs_person: bool,
    /// The cause for programs, in `SCREAMING_SNAKE_CASE`.
    pub reason: String,
    /// The cause for people.
    pub message: String,
    /// How long to wait before asking again, where waiting helps.
    pub retry_after: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_token() {
        let token = AccessToken::new("canary".to_owned(), 5);
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
        assert_eq!(token.expires_unix_ms(), 5);
    }

    #[test]
    fn is_named_by_the_hash_of_its_text() {
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        let token = AccessToken::new("abc".to_owned(), 0);
        assert_eq!(token.sha256()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
