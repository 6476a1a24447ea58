//! Everything that can go wrong with a call, and what to do about it.

mod body;
mod classify;

use std::fmt;
use std::time::Duration;

pub(crate) use body::{ErrorBody, MAX_ERROR_BODY_BYTES};
pub(crate) use classify::{Answer, classify};

use crate::drive_path::PathError;
use crate::token::TokenError;

/// What the caller may do after an error. The client has by then done its own retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// The same call may succeed after this time, and should not be made before.
    After(Duration),
    /// The same call may succeed later, with growing delays.
    Backoff,
}

/// Why a call failed. Neither `Display` nor `Debug` shows a token, a link, or text of an answer beyond its error codes.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// There is no access token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Graph refused the access token, and the one that replaced it.
    #[error("Graph refused a fresh access token{codes}")]
    Unauthorized {
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// The account may not do that (403).
    #[error("Graph denies access{codes}")]
    Forbidden {
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// There is no such thing, or not any more (404; 410 outside the delta feed).
    #[error("Graph does not find it{codes}")]
    NotFound {
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// The delta link is of no use any more: enumerate again, without a link.
    #[error("the delta link has expired: the drive must be listed again{codes}")]
    Resync {
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// The file or the whole site is locked (423).
    #[error("it is locked{codes}")]
    Locked {
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// The service takes the content for malware.
    #[error("the service takes the content for malware and does not hand it out")]
    Malware,
    /// It lies in a Personal Vault, which nobody but its owner can open; there is no code of its own for that (400).
    #[error("it lies in a Personal Vault, which cannot be opened from here")]
    Vault,
    /// Any other refusal that repeating does not change.
    #[error("Graph refuses the request with status {status}{codes}")]
    Rejected {
        /// HTTP status.
        status: u16,
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// Too many requests, of this client or of the whole tenant.
    #[error("Graph asks to wait {} s", retry_after.as_secs())]
    Throttled {
        /// How long every call of this client has to wait.
        retry_after: Duration,
    },
    /// The service failed (408, 5xx).
    #[error("Graph is not available, status {status}{codes}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// Error codes of the answer.
        codes: ErrorCodes,
    },
    /// An answer, or a part of it, took too long.
    #[error("no {what} within {} s", limit.as_secs())]
    Timeout {
        /// What did not come.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// No connection, or it broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The answer is not JSON: a proxy's page, or a sign-in page of the network.
    #[error("something that is not Graph answered with status {status}, and not in JSON")]
    NotJson {
        /// HTTP status.
        status: u16,
    },
    /// The answer is larger than any that Graph sends.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer is JSON, but not what was asked for.
    #[error("the answer makes no sense: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A redirect where none belongs; none is ever followed.
    #[error("Graph redirects with status {status}, which is not followed")]
    Redirected {
        /// HTTP status.
        status: u16,
    },
    /// A delta link that does not lead to the client's own service; the token is not sent there.
    #[error("the delta link does not lead to the configured Graph address")]
    ForeignLink,
    /// A download link that must not be followed.
    #[error("the download link is not https, or leads to a host that is not allowed")]
    ForbiddenDownload,
    /// The download link has expired: get the item again for a fresh one.
    #[error("the download link has expired")]
    LinkExpired,
    /// The content is shorter than the asked range begins.
    #[error("the content has no such range")]
    OutOfRange,
    /// The content ended early.
    #[error("the content ended after {received} of {expected} bytes")]
    Truncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        received: u64,
    },
    /// An item id that cannot be one segment of a path.
    #[error("the item id is not valid")]
    Id(#[source] PathError),
    /// The access token holds characters that no header can carry.
    #[error("the access token is not a text that can be sent")]
    UnusableToken,
}

impl GraphError {
    /// What the caller may do.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Token(error) => match error.retry_after {
                _ if error.needs_person => Retry::Never,
                Some(wait) => Retry::After(wait),
                None => Retry::Backoff,
            },
            Self::Throttled { retry_after } => Retry::After(*retry_after),
            Self::Unavailable { .. }
            | Self::Timeout { .. }
            | Self::Connection(_)
            | Self::NotJson { .. }
            | Self::Truncated { .. } => Retry::Backoff,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Resync { .. }
            | Self::Locked { .. }
            | Self::Malware
            | Self::Vault
            | Self::Rejected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Redirected { .. }
            | Self::ForeignLink
            | Self::ForbiddenDownload
            | Self::LinkExpired
            | Self::OutOfRange
            | Self::Id(_)
            | Self::UnusableToken => Retry::Never,
        }
    }

    /// Whether the drive must be enumerated again, without a delta link.
    pub const fn is_resync(&self) -> bool {
        matches!(self, Self::Resync { .. })
    }

    /// Whether a fresh link, from [`GraphClient::item`](crate::GraphClient::item), is what helps.
    pub const fn is_link_expired(&self) -> bool {
        matches!(self, Self::LinkExpired)
    }

    /// Whether a download may have been refused for the age of its link, and not for the file: links that are too old are also
    /// refused with 403 or 404. What [`GraphClient::item`](crate::GraphClient::item) answers tells.
    pub const fn may_be_the_link(&self) -> bool {
        matches!(self, Self::LinkExpired | Self::Forbidden { .. } | Self::NotFound { .. })
    }

    /// Whether only a person can change it: sign in again, or repair the app registration. A denied access (403) is not
    /// counted: it may concern one item only.
    pub const fn needs_person(&self) -> bool {
        if let Self::Token(error) = self {
            error.needs_person
        } else {
            matches!(self, Self::Unauthorized { .. })
        }
    }

    /// The cause for programs, in `SCREAMING_SNAKE_CASE`.
    pub fn reason(&self) -> &str {
        match self {
            Self::Token(error) => &error.reason,
            Self::Unauthorized { .. } => "TOKEN_REFUSED",
            Self::Forbidden { .. } => "ACCESS_DENIED",
            Self::NotFound { .. } => "ITEM_NOT_FOUND",
            Self::Resync { .. } => "CURSOR_EXPIRED",
            Self::Locked { .. } => "LOCKED",
            Self::Malware => "MALWARE",
            Self::Vault => "PERSONAL_VAULT",
            Self::Rejected { .. } => "REQUEST_REFUSED",
            Self::Throttled { .. } => "THROTTLED",
            Self::Unavailable { .. } => "GRAPH_UNAVAILABLE",
            Self::Timeout { .. } => "TIMEOUT",
            Self::Connection(_) => "CONNECTION_FAILED",
            Self::NotJson { .. } => "NOT_GRAPH",
            Self::TooLarge { .. } => "ANSWER_TOO_LARGE",
            Self::Malformed { .. } => "MALFORMED_ANSWER",
            Self::Redirected { .. } => "REDIRECTED",
            Self::ForeignLink => "FOREIGN_LINK",
            Self::ForbiddenDownload => "FORBIDDEN_DOWNLOAD",
            Self::LinkExpired => "LINK_EXPIRED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Truncated { .. } => "TRUNCATED",
            Self::Id(_) => "INVALID_ID",
            Self::UnusableToken => "UNUSABLE_TOKEN",
        }
    }

    /// A transport error without the address it concerns: an address may be a download link.
    pub(crate) fn connection(error: reqwest::Error) -> Self {
        Self::Connection(error.without_url())
    }
}

/// The `error.code` of an answer and those nested inside it, outermost first. They come from outside, so they are cut down to
/// short words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCodes(Vec<String>);

impl ErrorCodes {
    /// Whether one of them is `code`; letter case varies between backends.
    pub fn contain(&self, code: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(code))
    }

    /// The outermost code.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// Nothing, or the codes in brackets after a space: made to follow a sentence.
impl fmt::Display for ErrorCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0.join(", ")) }
    }
}
