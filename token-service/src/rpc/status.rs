//! The one place where a failed use case becomes an answer. Codes say what the reader does next.

use std::time::Duration;

use service_kit::{
    clock::Timestamp,
    error_chain::ErrorChain,
    status::{ApiError, Code},
};

use crate::{
    domain::names::ConnectionName,
    ops::{OpError, RefusedPart},
    store::StoreError,
};

/// When to try again after the database failed or the service was too busy.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// When to try again while too many sign-ins are waiting.
const RETRY_LATER: Duration = Duration::from_mins(1);

/// Turns a failure into an answer. What nobody outside can act on is logged here, once, and shows only an id.
pub(super) fn api_error(error: &OpError) -> ApiError {
    match error {
        OpError::ConnectionNotFound(name) => {
            about(Code::NotFound, "CONNECTION_NOT_FOUND", error, "connection", name.to_string())
        }
        OpError::ConnectionExists(name) => {
            about(Code::AlreadyExists, "CONNECTION_EXISTS", error, "connection", name.to_string())
        }
        OpError::Revoked(name) => {
            about(Code::FailedPrecondition, "CONNECTION_REVOKED", error, "connection", name.to_string())
        }
        OpError::AuthorizationNotFound(name) => {
            about(Code::NotFound, "AUTHORIZATION_NOT_FOUND", error, "authorization", name.to_string())
        }
        OpError::NeedsReauth { connection, cause, since, claims } => {
            let answer = unusable("NEEDS_REAUTH", "a person must sign in again", connection, (cause, *since));
            claims.iter().fold(answer, |answer, claims| answer.with_document("claims", claims.clone()))
        }
        OpError::Blocked { connection, cause, since } => {
            let advice = "an administrator of the account's organisation must act";
            unusable("CONNECTION_BLOCKED", advice, connection, (cause, *since))
        }
        OpError::TooManyAuthorizations => {
            let message = "too many authorizations are waiting; try again when some have ended";
            ApiError::new(Code::ResourceExhausted, "TOO_MANY_AUTHORIZATIONS", message)
                .with_retry_after(RETRY_LATER)
        }
        OpError::ProviderMisconfigured { cause } => {
            let message = "this service's app registration is not usable here; its operator must mend it";
            provider(Code::FailedPrecondition, "PROVIDER_MISCONFIGURED", message, cause)
        }
        OpError::ProviderThrottled { cause, retry_after } => {
            let message = "the identity provider asks to wait";
            provider(Code::ResourceExhausted, "PROVIDER_THROTTLED", message, cause)
                .with_retry_after(*retry_after)
        }
        OpError::ProviderUnavailable { cause, retry_after } => {
            let message = "the identity provider is not available";
            provider(Code::Unavailable, "PROVIDER_UNAVAILABLE", message, cause).with_retry_after(*retry_after)
        }
        OpError::RequestRefused { part: RefusedPart::Scopes, cause } => {
            let message = "scopes: the identity provider does not grant them";
            provider(Code::InvalidArgument, "SCOPES_REFUSED", message, cause)
        }
        OpError::RequestRefused { part: RefusedPart::Claims, cause } => {
            let message = "claims: the identity provider does not understand them";
            provider(Code::InvalidArgument, "CLAIMS_REFUSED", message, cause)
        }
        OpError::RefreshTokenRefused { cause } => {
            let message = "refresh_token: the identity provider does not accept it for this app";
            provider(Code::InvalidArgument, "REFRESH_TOKEN_REFUSED", message, cause)
        }
        OpError::ResumeTokenExpired => {
            let message =
                "changes after this resume token are not kept any more: list the connections and watch anew";
            ApiError::new(Code::FailedPrecondition, "RESUME_TOKEN_EXPIRED", message)
        }
        OpError::Busy | OpError::Store(StoreError::Conflict) => {
            unavailable("BUSY", "the service could not do it now")
        }
        OpError::ShuttingDown => unavailable("SHUTTING_DOWN", "the service is shutting down"),
        OpError::DatabaseDown => database_unavailable(),
        OpError::Store(StoreError::Unavailable(_)) => {
            tracing::error!(error = %ErrorChain(error), "the token database failed");
            database_unavailable()
        }
        OpError::Store(
            StoreError::NotFound | StoreError::AlreadyExists | StoreError::Inconsistent { .. },
        )
        | OpError::Crypto { .. } => ApiError::internal(error),
    }
}

/// An answer about one resource, in the error's own words, which are written for callers.
fn about(code: Code, reason: &'static str, error: &OpError, kind: &str, name: String) -> ApiError {
    ApiError::new(code, reason, error.to_string()).with_metadata(kind, name)
}

/// An answer that passes on the provider's error code.
fn provider(code: Code, reason: &'static str, message: &str, cause: &str) -> ApiError {
    ApiError::new(code, reason, format!("{message} ({cause})")).with_metadata("cause", cause)
}

/// An answer about a connection that a person must act on.
fn unusable(
    reason: &'static str,
    advice: &str,
    connection: &ConnectionName,
    (cause, since): (&str, Timestamp),
) -> ApiError {
    ApiError::new(
        Code::FailedPrecondition,
        reason,
        format!("{connection}: {advice} ({cause}, since {since})"),
    )
    .with_metadata("connection", connection.to_string())
    .with_metadata("cause", cause)
    .with_metadata("since", since.to_string())
}

fn database_unavailable() -> ApiError {
    unavailable("DATABASE_UNAVAILABLE", "the token database is not available")
}

fn unavailable(reason: &'static str, message: &str) -> ApiError {
    ApiError::new(Code::Unavailable, reason, message).with_retry_after(RETRY_SOON)
}

#[cfg(test)]
mod tests;
