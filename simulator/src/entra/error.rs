//! Errors as Entra writes them (graph-behaviour §9.3).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::clock::spaced;
use crate::faults::{FaultKind, RetryAfter};
use crate::json;
use crate::mix::{Sequence, guid};
use crate::transport::retry_after_value;
use crate::world::World;

/// An error of the token or device-code endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EntraError {
    status: u16,
    error: String,
    aadsts: u32,
    text: String,
    suberror: Option<String>,
    claims: Option<String>,
    retry_after: Option<RetryAfter>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: String,
    error_codes: [u32; 1],
    timestamp: &'a str,
    trace_id: &'a str,
    correlation_id: &'a str,
    error_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suberror: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
}

impl EntraError {
    /// An error with a status, an OAuth code, an AADSTS number and a text.
    pub(super) fn plain(status: u16, error: &str, aadsts: u32, text: impl Into<String>) -> Self {
        Self {
            status,
            error: error.to_owned(),
            aadsts,
            text: text.into(),
            suberror: None,
            claims: None,
            retry_after: None,
        }
    }

    /// `invalid_request`, the caller's fault.
    pub(super) fn invalid_request(aadsts: u32, text: impl Into<String>) -> Self {
        Self::plain(400, "invalid_request", aadsts, text)
    }

    /// `invalid_grant`, which only a person can put right.
    pub(super) fn invalid_grant(aadsts: u32) -> Self {
        Self::plain(400, "invalid_grant", aadsts, grant_text(aadsts))
    }

    /// A parameter that has to be there is not.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::invalid_request(
            900_144,
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    /// The address names no tenant.
    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        Self::invalid_request(
            90_002,
            format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."),
        )
    }

    /// The error a fault asks for.
    pub(super) fn of_fault(fault: &FaultKind) -> Option<Self> {
        let FaultKind::Oauth { status, error, aadsts, suberror, claims, retry_after } = fault else {
            return None;
        };
        Some(Self {
            status: *status,
            error: error.clone(),
            aadsts: *aadsts,
            text: grant_text(*aadsts).to_owned(),
            suberror: suberror.clone(),
            claims: claims.clone(),
            retry_after: *retry_after,
        })
    }

    /// The answer.
    pub(super) fn into_response(self, world: &World) -> Response {
        let now = spaced(world.clock.now_seconds());
        let mut ids = Sequence::new(world.number());
        let (trace, correlation) = (guid(ids.bytes()), guid(ids.bytes()));
        let body = Body {
            error: &self.error,
            error_description: format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
                self.aadsts, self.text
            ),
            error_codes: [self.aadsts],
            timestamp: &now,
            trace_id: &trace,
            correlation_id: &correlation,
            error_uri: format!("{}/error?code={}", world.bases.authority, self.aadsts),
            suberror: self.suberror.as_deref(),
            claims: self.claims.as_deref(),
        };
        let mut response =
            json::response(StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST), &body);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        if let Some(value) = self.retry_after.and_then(|after| retry_after_value(after, &world.clock)) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// What Entra says with a number, in our words.
const fn grant_text(aadsts: u32) -> &'static str {
    match aadsts {
        50_076 | 50_079 => "Due to a configuration change, you must use multi-factor authentication.",
        50_173 => "The provided grant has expired due to it being revoked; a fresh auth token is needed.",
        50_196 => "The server terminated an operation because it encountered a client request loop.",
        53_003 => "Access has been blocked by Conditional Access policies.",
        65_001 => "The user or administrator has not consented to use the application with this scope.",
        70_000 => "The provided value for the input parameter 'refresh_token' is not valid.",
        70_008 => "The provided authorization code or refresh token has expired due to inactivity.",
        70_043 => "The refresh token has expired or is invalid due to sign-in frequency checks.",
        700_082 => "The refresh token has expired due to inactivity.",
        7_000_215 => "Invalid client secret provided.",
        7_000_222 => "The provided client secret keys are expired.",
        _ => "The request failed.",
    }
}
