//! What a failed request to the provider means, and what to do about it.

use std::time::Duration;

/// How far a permanent refusal reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The refresh token or the account itself: no request of this connection will succeed.
    Grant,
    /// The grant, as far as the provider says: it names no reason. Alone it is believed the second time only; when many connections
    /// are refused like this at once, it is not about them.
    Unexplained,
    /// This request: policy or consent for the scopes or claims asked for. Other scopes may still be had.
    Request,
}

/// Whom a throttle binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binds {
    /// The account that the request was about.
    Account,
    /// Every request of this app to the account's directory.
    Directory,
}

/// What about a request was wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its scopes.
    Scopes,
    /// Its form or its claims.
    Form,
}

/// A refusal, classified. `cause` is the provider's error code and number, safe to show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It passes; try again.
    Transient {
        /// Error code and number.
        cause: String,
        /// How long the provider wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Too many requests; wait.
    Throttled {
        /// Error code and number.
        cause: String,
        /// How long, at most an hour.
        retry_after: Duration,
        /// Whom it binds.
        binds: Binds,
    },
    /// A person must sign in again.
    NeedsReauth {
        /// Error code and number.
        cause: String,
        /// Whether the connection or only this request is concerned.
        reach: Reach,
        /// A claims challenge to pass on to the sign-in.
        claims: Option<String>,
    },
    /// An administrator of the account's organisation must act.
    Blocked {
        /// Error code and number.
        cause: String,
        /// Whether the connection or only this request is concerned.
        reach: Reach,
    },
    /// The provider refuses our app registration.
    AppMisconfigured {
        /// Error code and number.
        cause: String,
    },
    /// The request was wrong.
    CallerFault {
        /// Error code and number.
        cause: String,
        /// What about it.
        fault: Fault,
    },
    /// Device authorization: nobody signed in yet.
    DevicePending,
    /// Device authorization: poll slower.
    DeviceSlowDown,
    /// Device authorization: the person declined.
    DeviceDeclined,
    /// Device authorization: too late.
    DeviceExpired,
    /// The device or authorization code is not, or no longer, known: start over.
    CodeRefused {
        /// Error code and number.
        cause: String,
    },
}

impl Refusal {
    /// Error code and number, for logs and for people.
    pub fn cause(&self) -> &str {
        match self {
            Self::Transient { cause, .. }
            | Self::Throttled { cause, .. }
            | Self::NeedsReauth { cause, .. }
            | Self::Blocked { cause, .. }
            | Self::AppMisconfigured { cause }
            | Self::CallerFault { cause, .. }
            | Self::CodeRefused { cause } => cause,
            Self::DevicePending => "authorization_pending",
            Self::DeviceSlowDown => "slow_down",
            Self::DeviceDeclined => "authorization_declined",
            Self::DeviceExpired => "expired_token",
        }
    }
}

/// Why a request to the provider gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No connection: the request was never sent.
    #[error("the identity provider cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The request was sent and its answer is lost: it may or may not have had an effect.
    #[error("the identity provider's answer was lost: {0}")]
    OutcomeUnknown(String),
    /// An answer that says no.
    #[error("the identity provider refused: {}", .0.cause())]
    Refused(Refusal),
}
