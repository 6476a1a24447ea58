//! Errors as Graph writes them (graph-behaviour §6).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clock::iso;
use crate::drive::kept::Full;
use crate::faults::Hits;
use crate::json;
use crate::mix::{Sequence, guid};
use crate::switches::NoDrive;
use crate::transport;
use crate::world::World;

/// An error of Graph.
#[derive(Clone, Debug)]
pub(crate) struct GraphError {
    status: StatusCode,
    code: Box<str>,
    message: Box<str>,
    inner: Inner,
    retry_after_seconds: Option<u64>,
    challenge: Option<Challenge>,
    location: Option<String>,
    next_expected: Option<Box<[String]>>,
}

/// What stands inside `innerError`.
#[derive(Clone, Debug)]
enum Inner {
    Nothing,
    Code(String),
    /// Two levels, as the throttling of SharePoint has (graph-behaviour §7).
    Quota,
}

/// What stands in `WWW-Authenticate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    Plain,
    Claims,
}

impl GraphError {
    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            inner: Inner::Nothing,
            retry_after_seconds: None,
            challenge: None,
            location: None,
            next_expected: None,
        }
    }

    /// Any error with a code inside.
    pub(super) fn with_inner(status: u16, code: &str, inner: &str, message: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { inner: Inner::Code(inner.to_owned()), ..Self::new(status, code, message) }
    }

    /// 409 for a name that is taken.
    pub(super) fn name_taken() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "nameAlreadyExists",
            "An item with the same name already exists under the parent.",
        )
    }

    /// 412 for an item that is not the version the client knows.
    pub(super) fn modified() -> Self {
        let message = "ETag does not match current item's value.";
        Self::with_inner(412, "resourceModified", "entityTagDoesNotMatch", message)
    }

    /// 507.
    pub(super) fn quota() -> Self {
        Self::of_status(507, None)
    }

    /// 507 because the simulator keeps no more uploaded contents.
    pub(super) fn no_room(_full: Full) -> Self {
        Self::quota()
    }

    /// 409 for a subscription that exists already.
    pub(super) fn subscription_exists(id: &str) -> Self {
        let message = format!("Subscription Id <{id}> already exists for the requested combination");
        Self::new(StatusCode::CONFLICT, "ObjectIdentifierInUse", &message)
    }

    /// The error for somebody who has no drive (graph-behaviour §1.1).
    pub(super) fn no_drive(why: NoDrive) -> Self {
        match why {
            NoDrive::NotFound => Self::not_found("User's mysite not found."),
            NoDrive::NoAddress => Self::not_found("Unable to retrieve user's mysite URL."),
            NoDrive::NoLicence => {
                Self::new(StatusCode::BAD_REQUEST, "BadRequest", "Tenant does not have a SPO license.")
            }
        }
    }

    /// 400 for a notification address that does not prove itself.
    pub(super) fn validation(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    /// An error with the ranges that are still missing.
    pub(super) fn expecting(mut self, ranges: Vec<String>) -> Self {
        self.next_expected = Some(ranges.into());
        self
    }

    /// 405 for what this kind of drive cannot do.
    pub(super) fn unsupported(message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "notSupported", message)
    }

    /// 400 for what cannot be answered.
    pub(crate) fn invalid_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidRequest", message)
    }

    /// 400 for an address that is none.
    pub(super) fn bad_path(path: &str) -> Self {
        let segment = path.rsplit('/').next().unwrap_or_default();
        let message = format!("Resource not found for the segment '{segment}'.");
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", &message)
    }

    /// 405 for methods other than reading.
    pub(super) fn not_supported() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "notSupported", "The method is not supported.")
    }

    /// 400 for `/me` without a user.
    pub(super) fn no_user() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        )
    }

    /// 401 for a bearer token that is not taken.
    pub(super) fn unauthenticated(message: &str) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message);
        Self { challenge: Some(Challenge::Plain), ..error }
    }

    /// 401 with a claims challenge (graph-behaviour §9.6).
    pub(super) fn claims_wanted() -> Self {
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired";
        let error = Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message);
        Self { challenge: Some(Challenge::Claims), ..error }
    }

    /// 401 of the download host.
    pub(super) fn bad_link() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "The link is expired or not valid.")
    }

    /// 403.
    pub(super) fn access_denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "accessDenied", "Access denied.")
    }

    /// 404 with a text.
    pub(super) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "itemNotFound", message)
    }

    /// 404.
    pub(super) fn item_not_found() -> Self {
        Self::not_found("The resource could not be found.")
    }

    /// 416.
    pub(super) fn bad_range() -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "invalidRange",
            "The requested range is not satisfiable.",
        )
    }

    /// 429 by the resource-unit limit.
    pub(super) fn throttled(seconds: u64) -> Self {
        Self { retry_after_seconds: Some(seconds), ..Self::of_status(429, None) }
    }

    /// 410 (graph-behaviour §2.7).
    pub(super) fn resync(inner: Option<&str>, location: Option<String>) -> Self {
        let message = "Resync required. Replace any local items with the server's version (including deletes) if \
                       you're sure that the service was up to date with your local changes when you last sync'd.";
        let error = Self::new(StatusCode::GONE, "resyncRequired", message);
        Self { inner: inner.map_or(Inner::Nothing, |code| Inner::Code(code.to_owned())), location, ..error }
    }

    /// The answer that a fault asks for, if one strikes the request.
    pub(super) fn on_demand(world: &World, hits: &Hits) -> Option<Response> {
        transport::status_fault(world, hits, |status, code, inner| {
            let error = Self::of_status(status, code);
            let error = match inner {
                Some(inner) => Self { inner: Inner::Code(inner.to_owned()), ..error },
                None => error,
            };
            error.into_response(world)
        })
    }

    /// The usual error of a status: a row of graph-behaviour §6.
    pub(super) fn of_status(status: u16, code: Option<&str>) -> Self {
        let (usual, message) = match status {
            400 => ("invalidRequest", "The request is invalid."),
            401 => ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
            403 => ("accessDenied", "Access denied."),
            404 => ("itemNotFound", "The resource could not be found."),
            405 => ("notSupported", "The method is not supported."),
            406 | 415 => ("invalidRequest", "The media type is not supported."),
            409 => ("conflict", "The request conflicts with the state of the resource."),
            410 => ("resyncRequired", "Resync required."),
            411 => ("invalidRequest", "A Content-Length header is required."),
            412 => ("resourceModified", "ETag does not match current item's value."),
            413 => ("invalidRequest", "The request body is too large."),
            416 => ("invalidRange", "The requested range is not satisfiable."),
            422 => ("invalidRequest", "The request cannot be processed."),
            423 => ("resourceLocked", "The resource is locked."),
            429 => ("activityLimitReached", "The request has been throttled"),
            501 => ("notSupported", "The requested feature is not implemented."),
            502 | 504 => ("UnknownError", "The service did not answer in time."),
            503 => ("serviceNotAvailable", "The service is unavailable."),
            507 => ("quotaLimitReached", "The quota is used up."),
            509 => ("bandwidthLimitExceeded", "Bandwidth Limit Exceeded"),
            _ => ("generalException", "General exception while processing."),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let inner = if status == StatusCode::TOO_MANY_REQUESTS { Inner::Quota } else { Inner::Nothing };
        Self { inner, ..Self::new(status, code.unwrap_or(usual), message) }
    }

    /// The answer.
    pub(super) fn into_response(self, world: &World) -> Response {
        let now = world.clock.now_seconds();
        let request_id = guid(Sequence::new(world.number()).bytes());
        let mut inner = json!({
            "date": iso(now).trim_end_matches('Z'),
            "request-id": &request_id,
            "client-request-id": &request_id,
        });
        if let Some(members) = inner.as_object_mut() {
            match &self.inner {
                Inner::Nothing => {}
                Inner::Code(code) => {
                    members.insert("code".to_owned(), Value::from(code.as_str()));
                }
                Inner::Quota => {
                    members.insert("code".to_owned(), Value::from("throttledRequest"));
                    members.insert("innerError".to_owned(), json!({"code": "quota"}));
                }
            }
        }
        let mut body = json!({"error": {"code": self.code, "message": self.message, "innerError": inner}});
        if let (Some(ranges), Some(members)) = (self.next_expected, body.as_object_mut()) {
            members.insert("nextExpectedRanges".to_owned(), Value::from(ranges.into_vec()));
        }
        let mut response = json::response(self.status, &body);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let challenge =
            self.challenge.and_then(|challenge| HeaderValue::try_from(challenge.text(world, now)).ok());
        if let Some(value) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(value) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            headers.insert(header::LOCATION, value);
        }
        response
    }
}

impl Challenge {
    fn text(self, world: &World, now: u64) -> String {
        let start = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
            world.bases.authority
        );
        match self {
            Self::Plain => start,
            Self::Claims => {
                let claims = json!({"access_token": {"nbf": {"essential": true, "value": now.to_string()}}});
                let claims = STANDARD.encode(claims.to_string());
                format!("{start}, error=\"insufficient_claims\", claims=\"{claims}\"")
            }
        }
    }
}
