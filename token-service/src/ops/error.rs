//! Why a use case gave nothing; `rpc` turns each into a status.

use std::time::Duration;

use service_kit::clock::Timestamp;

use crate::{
    crypto::CryptoError,
    domain::names::{AuthorizationName, ConnectionName},
    store::StoreError,
};

/// Part of a request that the provider refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusedPart {
    /// `scopes`.
    Scopes,
    /// `claims`.
    Claims,
}

/// A use case that failed.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// There is no such connection.
    #[error("there is no connection {0}")]
    ConnectionNotFound(ConnectionName),
    /// There is such a connection already.
    #[error("there is a connection {0} already")]
    ConnectionExists(ConnectionName),
    /// A person must sign in again.
    #[error("connection {connection} needs a new sign-in ({cause})")]
    NeedsReauth {
        /// The connection.
        connection: ConnectionName,
        /// The provider's error code and number.
        cause: String,
        /// Since when.
        since: Timestamp,
        /// A claims challenge to pass on to the sign-in.
        claims: Option<String>,
    },
    /// An administrator of the account's organisation must act.
    #[error("connection {connection} is blocked by the account's organisation ({cause})")]
    Blocked {
        /// The connection.
        connection: ConnectionName,
        /// The provider's error code and number.
        cause: String,
        /// Since when.
        since: Timestamp,
    },
    /// The connection was revoked here.
    #[error("connection {0} is revoked")]
    Revoked(ConnectionName),
    /// The operator must mend the app registration.
    #[error("the identity provider refuses the app registration ({cause})")]
    ProviderMisconfigured {
        /// The provider's error code and number.
        cause: String,
    },
    /// The provider asks to wait.
    #[error("the identity provider throttles ({cause})")]
    ProviderThrottled {
        /// The provider's error code and number.
        cause: String,
        /// How long.
        retry_after: Duration,
    },
    /// The provider does not answer, or fails in passing.
    #[error("the identity provider is not available ({cause})")]
    ProviderUnavailable {
        /// What is known.
        cause: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The provider refused a part of the request.
    #[error("the identity provider refuses the request's {part:?} ({cause})")]
    RequestRefused {
        /// Which part.
        part: RefusedPart,
        /// The provider's error code and number.
        cause: String,
    },
    /// The provider does not accept the refresh token that was to be imported.
    #[error("the identity provider refuses the refresh token ({cause})")]
    RefreshTokenRefused {
        /// The provider's error code and number.
        cause: String,
    },
    /// There is no such authorization.
    #[error("there is no authorization {0}")]
    AuthorizationNotFound(AuthorizationName),
    /// Too many authorizations are waiting.
    #[error("too many authorizations are waiting")]
    TooManyAuthorizations,
    /// Changes after the resume token were cleared away, or it is of another database.
    #[error("the changes after this resume token are not kept any more")]
    ResumeTokenExpired,
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// There is too much to do, or others changed the row again and again.
    #[error("the service cannot take the request now")]
    Busy,
    /// The database does not answer; whoever noticed has said so in the log.
    #[error("the token database does not answer")]
    DatabaseDown,
    /// The database failed.
    #[error("the token database failed")]
    Store(#[from] StoreError),
    /// Sealing or opening failed.
    #[error("sealed data of {place} cannot be used")]
    Crypto {
        /// Which row.
        place: String,
        /// Why.
        source: CryptoError,
    },
}
