//! Why a command did not do what was asked, on one line: what, where, what to do.

use std::error::Error;

use service_kit::{
    error_chain::ErrorChain,
    exit::Exit,
    status::{INVALID_FIELDS, status_reason, status_retry_after, status_violations},
};
use tonic::{Code, Status};

/// A failure as it is shown, and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    line: String,
}

impl Failure {
    /// A failure in words of our own.
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self { exit, line: line.into() }
    }

    /// Something failed here, with everything below it.
    pub fn from_error(exit: Exit, what: &str, error: &dyn Error) -> Self {
        Self::new(exit, format!("{what}: {}", ErrorChain(error)))
    }

    /// A service refused, or went away: `what` completes "cannot …".
    pub fn from_status(what: &str, status: &Status) -> Self {
        let reason = status_reason(status);
        let mut line = format!("cannot {what}: {}", explanation(status, reason.as_deref()));
        if let Some(advice) = advice(status, reason.as_deref()) {
            line.push_str("; ");
            line.push_str(&advice);
        }
        Self::new(exit_of(status.code()), line)
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The line for people.
    pub fn line(&self) -> &str {
        &self.line
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

impl Error for Failure {}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::FailedPrecondition | Code::PermissionDenied | Code::Unauthenticated => Exit::NeedsPerson,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unavailable,
        Code::ResourceExhausted | Code::Aborted | Code::Cancelled => Exit::TryAgain,
        Code::NotFound
        | Code::AlreadyExists
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unknown => Exit::Failure,
    }
}

fn explanation(status: &Status, reason: Option<&str>) -> String {
    if reason == Some(INVALID_FIELDS) {
        let fields: Vec<String> = status_violations(status)
            .into_iter()
            .map(|(field, description)| format!("{field}: {description}"))
            .collect();
        return fields.join("; ");
    }
    // Without a reason it is not from a Sluice service: the connection broke, or something else answers there.
    match (reason, status.code(), status.message()) {
        (None, Code::Unimplemented, _) => "what answers there does not know this call".to_owned(),
        (None, code, "") => format!("the answer was {code:?}"),
        (None, Code::Unavailable, message) => format!("the service is gone ({message})"),
        (None, Code::Internal | Code::Unknown, message) => format!("the answer cannot be read ({message})"),
        (_, _, message) => message.to_owned(),
    }
}

fn advice(status: &Status, reason: Option<&str>) -> Option<String> {
    let text = match (reason, status.code()) {
        (Some("NEEDS_REAUTH"), _) => "sign in again with `sluice connect`",
        (Some("PROVIDER_MISCONFIGURED"), _) => {
            "check the client id and the client secret that the token service was started with"
        }
        (Some("DELETIONS_NEED_APPROVAL"), _) => "look at `sluice runs show`, then use `sluice runs approve`",
        (Some("CONNECTION_EXISTS"), _) => "`sluice connect` without --import mends an existing connection",
        (Some("CONNECTION_NOT_FOUND"), _) => "`sluice connections` lists what there is",
        (Some("SOURCE_NOT_FOUND"), _) => "`sluice source list` lists what there is",
        (Some("RUN_NOT_FOUND"), _) => "`sluice runs` lists what there is",
        (None, Code::Unimplemented | Code::Internal | Code::Unknown) => {
            "--token-service and --sync-service must name these services, in a version as new as this one"
        }
        (_, Code::Unimplemented) => "a newer version of the service may have it",
        (_, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) => {
            return Some(match status_retry_after(status) {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => "try again".to_owned(),
            });
        }
        (_, Code::Internal) => "whoever runs the service finds more in its log",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use service_kit::status::{ApiError, Code as ApiCode, Violations};

    use super::*;

    fn shown(status: impl Into<Status>) -> (u8, String) {
        let failure = Failure::from_status("read it", &status.into());
        (failure.exit().code(), failure.line().to_owned())
    }

    #[test]
    fn every_code_has_an_exit_code() {
        for (code, exit) in [
            (ApiCode::InvalidArgument, 64),
            (ApiCode::NotFound, 1),
            (ApiCode::AlreadyExists, 1),
            (ApiCode::FailedPrecondition, 77),
            (ApiCode::Aborted, 75),
            (ApiCode::PermissionDenied, 77),
            (ApiCode::Unauthenticated, 77),
            (ApiCode::ResourceExhausted, 75),
            (ApiCode::Unavailable, 69),
            (ApiCode::Unimplemented, 1),
            (ApiCode::Internal, 1),
        ] {
            assert_eq!(shown(ApiError::new(code, "SOMETHING", "a sentence")).0, exit, "{code:?}");
        }
    }

    #[test]
    fn lines_say_what_and_what_to_do() {
        let reauth = ApiError::new(ApiCode::FailedPrecondition, "NEEDS_REAUTH", "the account must sign in");
        assert_eq!(
            shown(reauth).1,
            "cannot read it: the account must sign in; sign in again with `sluice connect`"
        );
        let busy = ApiError::new(ApiCode::ResourceExhausted, "OVERLOADED", "too many requests are under way");
        assert_eq!(
            shown(busy.with_retry_after(Duration::from_secs(7))).1,
            "cannot read it: too many requests are under way; try again in 7 s"
        );
        assert_eq!(
            shown(Status::unavailable("broken pipe")).1,
            "cannot read it: the service is gone (broken pipe); try again"
        );
    }

    #[test]
    fn what_is_not_a_service_of_sluice_is_said_to_be_none() {
        let advice =
            "--token-service and --sync-service must name these services, in a version as new as this one";
        assert_eq!(
            shown(Status::unimplemented("")).1,
            format!("cannot read it: what answers there does not know this call; {advice}")
        );
        assert_eq!(
            shown(Status::internal("invalid compression flag")).1,
            format!("cannot read it: the answer cannot be read (invalid compression flag); {advice}")
        );
        let ours = ApiError::new(ApiCode::Unimplemented, "UNIMPLEMENTED", "keys cannot be rotated yet");
        assert_eq!(
            shown(ours).1,
            "cannot read it: keys cannot be rotated yet; a newer version of the service may have it"
        );
    }

    #[test]
    fn all_bad_fields_are_shown() {
        let mut violations = Violations::new();
        violations.add("source.drive", "is not a drive");
        violations.add("source.interval", "is too short");
        assert_eq!(
            shown(violations.finish().unwrap_err()),
            (64, "cannot read it: source.drive: is not a drive; source.interval: is too short".to_owned())
        );
    }
}
