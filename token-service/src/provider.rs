//! The identity provider: the one place a refresh token is ever sent to.
//!
//! `entra` speaks the protocol over `transport`; `answer` reads what came back; `classify` says what a refusal means. This
//! folder is the only one that knows the HTTP client.

mod answer;
mod classify;
mod client_secret;
mod entra;
mod error;
mod id_token;
mod transport;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use service_kit::secret::SecretString;

pub use client_secret::ClientSecret;
pub use entra::{Entra, EntraConfig, EntraConfigError};
pub use error::{Binds, Fault, ProviderError, Reach, Refusal};

use crate::domain::{account::Account, scopes::ScopeSet};

/// Life of an access token whose answer does not say how long it lives. Short on purpose: too short costs a refresh, too long
/// hands out dead tokens. (RFC 6749 §5.1 makes `expires_in` a recommendation only.)
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_mins(5);
/// Longest life believed: Entra's continuously evaluated tokens live up to 28 hours.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_hours(48);
/// Longest wait that a provider may impose with `Retry-After`.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What a successful token request gave (RFC 6749 §5.1).
#[derive(Debug)]
pub struct TokenGrant {
    /// The access token.
    pub access_token: Arc<SecretString>,
    /// How to present it.
    pub token_type: String,
    /// How long it lives.
    pub lifetime: Duration,
    /// After how long the provider advises to replace it (`refresh_in`), where it does.
    pub refresh_in: Option<Duration>,
    /// Scopes granted; nothing means those asked for.
    pub scopes: Option<ScopeSet>,
    /// The successor of the refresh token; nothing means the old one stays.
    pub refresh_token: Option<SecretString>,
    /// Who signed in, where the answer holds an ID token that says so.
    pub account: Option<Account>,
}

/// A device authorization as the provider started it (RFC 8628 §3.2).
#[derive(Debug)]
pub struct DeviceGrant {
    /// What polls.
    pub device_code: SecretString,
    /// What the person types.
    pub user_code: SecretString,
    /// Where to type it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<SecretString>,
    /// The provider's own sentence for the person; it holds the code.
    pub message: Option<SecretString>,
    /// How long the codes are good.
    pub lifetime: Duration,
    /// Least time between polls, where the provider names one.
    pub interval: Option<Duration>,
}

/// An identity provider that speaks OAuth 2.
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// What connections call it, for example `microsoft`.
    fn id(&self) -> &str;

    /// Client id of the app registration.
    fn client_id(&self) -> &str;

    /// Starts a device authorization, with the claims that the sign-in must answer, if any.
    async fn start_device(
        &self,
        scopes: &ScopeSet,
        claims: Option<&str>,
    ) -> Result<DeviceGrant, ProviderError>;

    /// Asks once whether somebody signed in, with the same claims.
    async fn poll_device(
        &self,
        device_code: &SecretString,
        claims: Option<&str>,
    ) -> Result<TokenGrant, ProviderError>;

    /// Exchanges a refresh token (RFC 6749 §6), with a claims challenge where the resource sent one.
    async fn refresh(
        &self,
        refresh_token: &SecretString,
        scopes: &ScopeSet,
        claims: Option<&str>,
    ) -> Result<TokenGrant, ProviderError>;
}
