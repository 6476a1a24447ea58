//! What a refusal means: by status first, then by AADSTS number where it is one that is known, then by `error`. Never by text.

use std::time::Duration;

use super::{
    MAX_RETRY_AFTER,
    error::{Binds, Fault, Reach, Refusal},
};

/// Wait when the provider throttles and does not say for how long.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(30);
/// Wait after AADSTS50196: the provider saw the same request in a loop.
const LOOP_THROTTLE: Duration = Duration::from_mins(1);
/// Wait after AADSTS50053: the account is locked or the address is blocked; asking more makes it last longer.
const LOCKED_WAIT: Duration = Duration::from_mins(15);
/// Most characters of an error code that is repeated in a cause.
const MAX_ERROR_CHARS: usize = 64;

/// The parts of an error answer that decide (RFC 6749 §5.2 and Entra's additions).
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorAnswer {
    /// HTTP status.
    pub(super) status: u16,
    /// `Retry-After`, in seconds from now.
    pub(super) retry_after: Option<Duration>,
    /// `error`; empty when the body was no error answer.
    pub(super) error: String,
    /// `suberror`.
    pub(super) suberror: String,
    /// AADSTS numbers, most telling first.
    pub(super) numbers: Vec<u32>,
    /// `claims`.
    pub(super) claims: Option<String>,
}

/// Classifies an error answer.
pub(super) fn classify(answer: &ErrorAnswer) -> Refusal {
    by_status(answer).or_else(|| by_number(answer)).unwrap_or_else(|| by_error(answer))
}

fn by_status(answer: &ErrorAnswer) -> Option<Refusal> {
    match answer.status {
        429 => Some(throttled(answer, DEFAULT_THROTTLE, Binds::Directory)),
        408 | 500..=599 => Some(transient(answer)),
        _ => None,
    }
}

fn by_number(answer: &ErrorAnswer) -> Option<Refusal> {
    answer.numbers.iter().find_map(|number| one_number(answer, *number))
}

fn one_number(answer: &ErrorAnswer, number: u32) -> Option<Refusal> {
    let cause = || cause(answer);
    Some(match number {
        50_196 => throttled(answer, LOOP_THROTTLE, Binds::Account),
        90_055 => throttled(answer, DEFAULT_THROTTLE, Binds::Directory),
        50_053 => throttled(answer, LOCKED_WAIT, Binds::Account),
        50_033 | 50_087 | 90_006 | 90_012 | 90_024 | 90_033 | 90_090 | 70_012 => transient(answer),
        // Inactive, sign-in frequency, the 24 hours of a single-page app, revoked, password changed, expired.
        700_082 | 70_008 | 70_043 | 700_084 | 50_173 | 50_132 | 50_133 | 50_089 | 70_000 => {
            needs_reauth(answer, Reach::Grant)
        }
        // A second factor, a policy, consent: for what was asked this time.
        50_076 | 50_079 | 50_074 | 50_078 | 50_072 | 50_158 | 65_001 => needs_reauth(answer, Reach::Request),
        90_094 | 90_095 | 53_003 | 530_032 | 53_011 => {
            Refusal::Blocked { cause: cause(), reach: Reach::Request }
        }
        50_057 | 50_034 | 51_004 | 50_105 => Refusal::Blocked { cause: cause(), reach: Reach::Grant },
        7_000_215 | 7_000_218 | 7_000_222 | 700_027 | 700_025 | 70_002 | 700_016 | 70_001 | 7_000_112
        | 90_002 | 90_038 | 50_194 => Refusal::AppMisconfigured { cause: cause() },
        70_011 | 28_002 | 500_011 | 650_057 | 700_022 => {
            Refusal::CallerFault { cause: cause(), fault: Fault::Scopes }
        }
        9_002_313 | 900_144 | 90_014 => Refusal::CallerFault { cause: cause(), fault: Fault::Form },
        70_016 => Refusal::DevicePending,
        70_019 => Refusal::DeviceExpired,
        70_018 | 54_005 | 501_481 => Refusal::CodeRefused { cause: cause() },
        _ => return None,
    })
}

fn by_error(answer: &ErrorAnswer) -> Refusal {
    let cause = cause(answer);
    match answer.error.as_str() {
        "authorization_pending" => Refusal::DevicePending,
        "slow_down" => Refusal::DeviceSlowDown,
        "authorization_declined" | "access_denied" => Refusal::DeviceDeclined,
        "expired_token" | "code_expired" => Refusal::DeviceExpired,
        "bad_verification_code" => Refusal::CodeRefused { cause },
        "invalid_grant" if answer.suberror == "consent_required" => needs_reauth(answer, Reach::Request),
        "invalid_grant" => needs_reauth(answer, Reach::Unexplained),
        "interaction_required" | "login_required" | "consent_required" => {
            needs_reauth(answer, Reach::Request)
        }
        "invalid_client" | "unauthorized_client" => Refusal::AppMisconfigured { cause },
        "invalid_scope" | "invalid_resource" | "invalid_target" => {
            Refusal::CallerFault { cause, fault: Fault::Scopes }
        }
        "invalid_request" | "unsupported_grant_type" => Refusal::CallerFault { cause, fault: Fault::Form },
        // `temporarily_unavailable`, `server_error`, a proxy's page, a code nobody here has met: none is proof against the
        // connection or the app.
        _ => transient(answer),
    }
}

fn transient(answer: &ErrorAnswer) -> Refusal {
    Refusal::Transient {
        cause: cause(answer),
        retry_after: answer.retry_after.map(|wait| wait.min(MAX_RETRY_AFTER)),
    }
}

fn throttled(answer: &ErrorAnswer, default: Duration, binds: Binds) -> Refusal {
    let retry_after = answer.retry_after.unwrap_or(default).min(MAX_RETRY_AFTER);
    Refusal::Throttled { cause: cause(answer), retry_after, binds }
}

fn needs_reauth(answer: &ErrorAnswer, reach: Reach) -> Refusal {
    Refusal::NeedsReauth { cause: cause(answer), reach, claims: answer.claims.clone() }
}

/// `invalid_grant AADSTS700082`, or the status where there is no error code. Only characters that a code is made of pass, so
/// that no answer can smuggle text into logs and states.
fn cause(answer: &ErrorAnswer) -> String {
    let is_code = |text: &str| {
        (1..=MAX_ERROR_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let error = if is_code(&answer.error) { answer.error.clone() } else { format!("HTTP {}", answer.status) };
    match answer.numbers.first() {
        Some(number) => format!("{error} AADSTS{number}"),
        None => error,
    }
}

#[cfg(test)]
mod tests;
