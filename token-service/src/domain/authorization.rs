//! A sign-in under way or ended.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::{
    names::{AuthorizationName, ConnectionName},
    scopes::ScopeSet,
    sealed::Sealed,
};

/// Cause of a failure: another account signed in than the connection's.
pub const ACCOUNT_MISMATCH: &str = "ACCOUNT_MISMATCH";
/// Cause of a failure: the provider gave no refresh token, without which a connection is worth nothing.
pub const NO_REFRESH_TOKEN: &str = "NO_REFRESH_TOKEN";
/// Cause of a failure: what was stored for the authorization does not open.
pub const UNREADABLE: &str = "UNREADABLE";

/// How far an authorization is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthorizationState {
    /// Waiting for somebody to sign in.
    Pending,
    /// The connection is there and active.
    Completed,
    /// The person declined.
    Declined,
    /// Nobody signed in in time.
    Expired,
    /// It cannot complete.
    Failed {
        /// The provider's error code, or one of the causes above.
        cause: String,
    },
}

impl AuthorizationState {
    /// Whether nothing will change any more.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// Why it failed; empty otherwise.
    pub fn cause(&self) -> &str {
        match self {
            Self::Failed { cause } => cause,
            Self::Pending | Self::Completed | Self::Declined | Self::Expired => "",
        }
    }
}

/// An authorization, without its secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authorization {
    /// Resource name.
    pub name: AuthorizationName,
    /// The connection that it makes or mends.
    pub connection: ConnectionName,
    /// Text for people, for a new connection.
    pub display_name: String,
    /// Scopes asked for.
    pub scopes: ScopeSet,
    /// How far it is.
    pub state: AuthorizationState,
    /// When it was started.
    pub create_time: Timestamp,
    /// When it expires unless somebody signs in.
    pub expire_time: Timestamp,
    /// When the provider is asked next.
    pub next_poll_time: Timestamp,
    /// Least time between two polls.
    pub poll_interval: Duration,
    /// Goes up with every change; every write compares it.
    pub generation: i64,
}

/// A pending authorization with its sealed codes.
#[derive(Clone, Debug)]
pub struct StoredAuthorization {
    /// The authorization.
    pub authorization: Authorization,
    /// What polls the provider; gone once the authorization has ended.
    pub codes: Option<SealedCodes>,
}

/// The sealed codes of a device authorization and what opens them.
#[derive(Clone, Debug)]
pub struct SealedCodes {
    /// The data key, wrapped by a key of the keyring.
    pub data_key: Sealed,
    /// The device code, which polls.
    pub device_code: Sealed,
    /// The user code, which the person types.
    pub user_code: Sealed,
}
