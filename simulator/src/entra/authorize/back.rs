//! The way back to the client: as a query, as a fragment, or as a form that sends itself.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::Platform;
use crate::entra::error::EntraError;
use crate::entra::html;
use crate::world::World;

/// What is encoded in parameters: everything but the unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// AADSTS: there is no such response mode.
const UNSUPPORTED_RESPONSE_MODE: u32 = 70_007;

/// Where an answer goes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    /// The address, as the client wrote it.
    pub(in crate::entra) uri: String,
    pub(in crate::entra) platform: Platform,
    pub(in crate::entra) mode: ResponseMode,
    pub(in crate::entra) state: Option<String>,
}

/// How parameters travel (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::entra) enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

impl ResponseMode {
    /// Reads the parameter; a code travels as a query when nothing is said.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, EntraError> {
        match text {
            None | Some("query") => Ok(Self::Query),
            Some("fragment") => Ok(Self::Fragment),
            Some("form_post") => Ok(Self::FormPost),
            Some(other) => {
                let text = format!("'{other}' is not a supported value for 'response_mode'.");
                Err(EntraError::of(UNSUPPORTED_RESPONSE_MODE).saying(text))
            }
        }
    }
}

impl Back {
    /// Leads back with these parameters and the client's state.
    pub(in crate::entra) fn lead(&self, parameters: &[(&str, &str)]) -> Response {
        let state = self.state.as_deref().map(|state| ("state", state));
        let all: Vec<(&str, &str)> = parameters.iter().copied().chain(state).collect();
        match self.mode {
            ResponseMode::FormPost => html::page(
                StatusCode::OK,
                "Working...",
                &format!(
                    "<form method=post action=\"{}\">{}<noscript><button>Continue</button></noscript></form>\
                     <script>document.forms[0].submit()</script>",
                    html::escaped(&self.uri),
                    html::hidden(&all)
                ),
            ),
            ResponseMode::Query if self.uri.contains('?') => self.redirect('&', &all),
            ResponseMode::Query => self.redirect('?', &all),
            ResponseMode::Fragment => self.redirect('#', &all),
        }
    }

    /// Leads back with an error.
    pub(in crate::entra) fn fail(&self, world: &World, error: &EntraError) -> Response {
        let (description, uri) = (error.description(world), error.uri(world));
        self.lead(&[("error", error.code()), ("error_description", &description), ("error_uri", &uri)])
    }

    fn redirect(&self, separator: char, parameters: &[(&str, &str)]) -> Response {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, RESERVED));
        let pairs: Vec<String> = parameters.iter().map(pair).collect();
        let mut response = StatusCode::FOUND.into_response();
        // Addresses are registered; one that is no header value was refused before.
        if let Ok(address) = HeaderValue::try_from(format!("{}{separator}{}", self.uri, pairs.join("&"))) {
            response.headers_mut().insert(header::LOCATION, address);
        }
        response
    }
}
