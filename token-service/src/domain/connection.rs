//! A connection and its states.

use service_kit::clock::Timestamp;

use super::{account::Account, names::ConnectionName, scopes::ScopeSet, sealed::Sealed};

/// Most characters of a display name.
pub const MAX_DISPLAY_NAME_CHARS: usize = 200;

/// What a connection can do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectionState {
    /// Tokens can be had.
    Active,
    /// A person must sign in again.
    NeedsReauth {
        /// The provider's error code and number.
        cause: String,
    },
    /// An administrator of the account's organisation must act.
    Blocked {
        /// The provider's error code and number.
        cause: String,
    },
    /// Revoked here; kept for the record.
    Revoked,
}

/// The state without its data, for filters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateKind {
    /// See [`ConnectionState::Active`].
    Active,
    /// See [`ConnectionState::NeedsReauth`].
    NeedsReauth,
    /// See [`ConnectionState::Blocked`].
    Blocked,
    /// See [`ConnectionState::Revoked`].
    Revoked,
}

impl ConnectionState {
    /// The kind of this state.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Active => StateKind::Active,
            Self::NeedsReauth { .. } => StateKind::NeedsReauth,
            Self::Blocked { .. } => StateKind::Blocked,
            Self::Revoked => StateKind::Revoked,
        }
    }

    /// Why the state is not active; empty where there is nothing to say.
    pub fn cause(&self) -> &str {
        match self {
            Self::NeedsReauth { cause } | Self::Blocked { cause } => cause,
            Self::Active | Self::Revoked => "",
        }
    }
}

/// A connected account, without its secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Resource name.
    pub name: ConnectionName,
    /// Random, made anew when a name is used again: what was meant for the earlier one never touches the later.
    pub uid: String,
    /// Text for people.
    pub display_name: String,
    /// The identity provider, for example `microsoft`.
    pub provider: String,
    /// Client id of the app registration.
    pub client_id: String,
    /// Scopes the connection was made with.
    pub scopes: ScopeSet,
    /// The account, where the provider said whose it is.
    pub account: Option<Account>,
    /// What it can do now.
    pub state: ConnectionState,
    /// Since when.
    pub state_time: Timestamp,
    /// When it was made.
    pub create_time: Timestamp,
    /// When the refresh token was last exchanged.
    pub refresh_time: Option<Timestamp>,
    /// Goes up with every change of the credential or the state; every write compares it.
    pub generation: i64,
}

/// A connection with its sealed credential.
#[derive(Clone, Debug)]
pub struct StoredConnection {
    /// The connection.
    pub connection: Connection,
    /// Its credential.
    pub credential: SealedCredential,
}

/// The sealed refresh token and what opens it.
#[derive(Clone, Debug)]
pub struct SealedCredential {
    /// The data key, wrapped by a key of the keyring.
    pub data_key: Sealed,
    /// Version of the data key, which is the generation in its associated data.
    pub data_key_version: i64,
    /// The refresh token, sealed by the data key.
    pub refresh_token: Sealed,
    /// Generation at which the refresh token was sealed.
    pub refresh_token_generation: i64,
}
