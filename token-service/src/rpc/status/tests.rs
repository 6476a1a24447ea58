//! Every error as callers see it.

use service_kit::status::status_retry_after;
use tonic::Status;

use super::*;
use crate::{crypto::CryptoError, domain::names::AuthorizationName};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn connection() -> ConnectionName {
    ConnectionName::parse("tenants/acme/connections/mail").unwrap()
}

fn cause() -> String {
    "invalid_grant AADSTS50173".to_owned()
}

/// Every failure with the code and reason it is answered with.
fn table() -> Vec<(OpError, Code, &'static str)> {
    let wait = Duration::from_secs(7);
    let authorization = AuthorizationName::parse("tenants/acme/authorizations/device-1").unwrap();
    let inconsistent = StoreError::Inconsistent { table: "t", row: "r".to_owned(), problem: "p" };
    let database = StoreError::Unavailable("canary".into());
    vec![
        (OpError::ConnectionNotFound(connection()), Code::NotFound, "CONNECTION_NOT_FOUND"),
        (OpError::ConnectionExists(connection()), Code::AlreadyExists, "CONNECTION_EXISTS"),
        (
            OpError::NeedsReauth { connection: connection(), cause: cause(), since: NOW, claims: None },
            Code::FailedPrecondition,
            "NEEDS_REAUTH",
        ),
        (
            OpError::Blocked { connection: connection(), cause: cause(), since: NOW },
            Code::FailedPrecondition,
            "CONNECTION_BLOCKED",
        ),
        (OpError::Revoked(connection()), Code::FailedPrecondition, "CONNECTION_REVOKED"),
        (OpError::ResumeTokenExpired, Code::FailedPrecondition, "RESUME_TOKEN_EXPIRED"),
        (
            OpError::ProviderMisconfigured { cause: cause() },
            Code::FailedPrecondition,
            "PROVIDER_MISCONFIGURED",
        ),
        (
            OpError::ProviderThrottled { cause: cause(), retry_after: wait },
            Code::ResourceExhausted,
            "PROVIDER_THROTTLED",
        ),
        (
            OpError::ProviderUnavailable { cause: cause(), retry_after: wait },
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
        ),
        (
            OpError::RequestRefused { part: RefusedPart::Scopes, cause: cause() },
            Code::InvalidArgument,
            "SCOPES_REFUSED",
        ),
        (
            OpError::RequestRefused { part: RefusedPart::Claims, cause: cause() },
            Code::InvalidArgument,
            "CLAIMS_REFUSED",
        ),
        (OpError::RefreshTokenRefused { cause: cause() }, Code::InvalidArgument, "REFRESH_TOKEN_REFUSED"),
        (OpError::AuthorizationNotFound(authorization), Code::NotFound, "AUTHORIZATION_NOT_FOUND"),
        (OpError::TooManyAuthorizations, Code::ResourceExhausted, "TOO_MANY_AUTHORIZATIONS"),
        (OpError::ShuttingDown, Code::Unavailable, "SHUTTING_DOWN"),
        (OpError::Busy, Code::Unavailable, "BUSY"),
        (OpError::Store(StoreError::Conflict), Code::Unavailable, "BUSY"),
        (OpError::Store(database), Code::Unavailable, "DATABASE_UNAVAILABLE"),
        (OpError::Store(StoreError::NotFound), Code::Internal, "INTERNAL"),
        (OpError::Store(StoreError::AlreadyExists), Code::Internal, "INTERNAL"),
        (OpError::Store(inconsistent), Code::Internal, "INTERNAL"),
        (
            OpError::Crypto { place: "canary".to_owned(), source: CryptoError::Open },
            Code::Internal,
            "INTERNAL",
        ),
    ]
}

#[test]
fn every_failure_has_its_code_and_reason() {
    for (error, code, reason) in table() {
        let answer = api_error(&error);
        assert_eq!((answer.code(), answer.reason()), (code, reason), "{error:?}");
    }
}

#[test]
fn what_is_worth_waiting_for_says_how_long_and_nothing_else_does() {
    for (error, code, reason) in table() {
        let status = Status::from(api_error(&error));
        let waits = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        assert_eq!(status_retry_after(&status).is_some(), waits, "{reason}");
    }
}

#[test]
fn inner_text_never_crosses_the_wire() {
    for (error, ..) in table() {
        let status = Status::from(api_error(&error));
        assert!(!format!("{status:?}").contains("canary"), "{status:?}");
    }
}
