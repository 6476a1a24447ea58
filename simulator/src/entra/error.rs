//! Errors as Entra writes them (graph-behaviour §9.3).

pub(crate) mod table;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use self::table::EntraErrorRow;
use crate::clock::spaced;
use crate::faults::{FaultKind, RetryAfter};
use crate::json;
use crate::mix::{Sequence, guid};
use crate::transport::retry_after_value;
use crate::world::World;

/// AADSTS of a request that came too soon after many others; which number it has is an assumption.
const THROTTLED: u32 = 90_033;
/// The text of a number that no row has.
const UNKNOWN_TEXT: &str = "The request failed.";

/// An error of one of Entra's endpoints.
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
    error_description: &'a str,
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

    /// The error of a row.
    fn of_row(row: &EntraErrorRow) -> Self {
        Self {
            suberror: row.suberror.map(str::to_owned),
            claims: row.claims.then(policy_claims),
            ..Self::plain(row.status, row.error, row.aadsts, row.text)
        }
    }

    /// The error of an AADSTS number; `invalid_grant` when no row has it.
    pub(super) fn of(aadsts: u32) -> Self {
        let row = table::of_number(aadsts);
        row.map_or_else(|| Self::plain(400, "invalid_grant", aadsts, UNKNOWN_TEXT), Self::of_row)
    }

    /// Too many requests of one user (graph-behaviour §7).
    pub(super) fn throttled(seconds: u64) -> Self {
        let text = "Too many requests. Please wait and try again.";
        let error = Self::plain(429, "temporarily_unavailable", THROTTLED, text);
        Self { retry_after: Some(RetryAfter::Seconds(seconds)), ..error }
    }

    /// The same error with a text of its own.
    pub(super) fn saying(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// The same error under another OAuth code.
    pub(super) fn called(self, error: &str) -> Self {
        Self { error: error.to_owned(), ..self }
    }

    /// A parameter that has to be there is not.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::of(900_144)
            .saying(format!("The request body must contain the following parameter: '{parameter}'."))
    }

    /// The address names no tenant.
    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        Self::of(90_002).saying(format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
        ))
    }

    /// The error a fault asks for.
    pub(super) fn of_fault(fault: &FaultKind) -> Option<Self> {
        if let FaultKind::Oauth { status, error, aadsts, suberror, claims, retry_after } = fault {
            let text = table::of_number(*aadsts).map_or(UNKNOWN_TEXT, |row| row.text);
            return Some(Self {
                suberror: suberror.clone(),
                claims: claims.clone(),
                retry_after: *retry_after,
                ..Self::plain(*status, error, *aadsts, text)
            });
        }
        let FaultKind::Entra { error, status, claims, retry_after } = fault else { return None };
        let usual = Self::of_row(error.row());
        Some(Self {
            status: status.unwrap_or(usual.status),
            claims: claims.clone().or_else(|| usual.claims.clone()),
            retry_after: *retry_after,
            ..usual
        })
    }

    /// The `error` member.
    pub(super) fn code(&self) -> &str {
        &self.error
    }

    /// The `error_description` member, with identifiers of its own.
    pub(super) fn description(&self, world: &World) -> String {
        let mut ids = Sequence::new(world.number());
        let (trace, correlation) = (guid(ids.bytes()), guid(ids.bytes()));
        self.described(&trace, &correlation, &spaced(world.clock.now_seconds()))
    }

    fn described(&self, trace: &str, correlation: &str, now: &str) -> String {
        format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
            self.aadsts, self.text
        )
    }

    /// The address with more about the error.
    pub(super) fn uri(&self, world: &World) -> String {
        format!("{}/error?code={}", world.bases.authority, self.aadsts)
    }

    /// The answer.
    pub(super) fn into_response(self, world: &World) -> Response {
        let now = spaced(world.clock.now_seconds());
        let mut ids = Sequence::new(world.number());
        let (trace, correlation) = (guid(ids.bytes()), guid(ids.bytes()));
        let body = Body {
            error: &self.error,
            error_description: &self.described(&trace, &correlation, &now),
            error_codes: [self.aadsts],
            timestamp: &now,
            trace_id: &trace,
            correlation_id: &correlation,
            error_uri: self.uri(world),
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

/// The claims challenge of a Conditional Access policy, to be passed on to the next sign-in.
fn policy_claims() -> String {
    let policy = guid(Sequence::new(crate::mix::text("conditional access")).bytes());
    json!({"access_token": {"capolids": {"essential": true, "values": [policy]}}}).to_string()
}
