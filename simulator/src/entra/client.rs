//! The form of a request, and which application sends it.

use std::collections::HashMap;

use axum::extract::Request;
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::MAX_BODY_BYTES;
use super::error::EntraError;
use crate::config::App;
use crate::world::World;

/// A form body and the `Authorization` header that may stand in for its client id and secret. Its fields are secrets.
pub(super) struct Form {
    fields: HashMap<String, String>,
    basic: Option<(String, String)>,
}

impl Form {
    /// Reads the form of a request.
    pub(super) async fn read(request: Request) -> Result<Self, EntraError> {
        let authorization = request.headers().get(header::AUTHORIZATION);
        let basic = authorization.and_then(|value| value.to_str().ok()).and_then(basic);
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|error| malformed(&error))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| malformed(&error))?;
        let fields = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        Ok(Self { fields: fields.collect(), basic })
    }

    /// A field that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A field that has to be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, EntraError> {
        self.get(name).ok_or_else(|| EntraError::missing(name))
    }

    /// The application, known but not yet proven.
    pub(super) fn app<'w>(&self, world: &'w World) -> Result<&'w App, EntraError> {
        let from_header = self.basic.as_ref().map(|(id, _)| id.as_str());
        let client_id =
            self.get("client_id").or(from_header).ok_or_else(|| EntraError::missing("client_id"))?;
        world.entra.app(client_id).ok_or_else(|| {
            let text = format!("Application with identifier '{client_id}' was not found in the directory.");
            EntraError::plain(400, "unauthorized_client", 700_016, text)
        })
    }

    /// The application, proven by its secret when it has one.
    pub(super) fn authenticated_app<'w>(&self, world: &'w World) -> Result<&'w App, EntraError> {
        let app = self.app(world)?;
        let from_header = self.basic.as_ref().map(|(_, secret)| secret.as_str());
        match (app.secret.as_deref(), self.get("client_secret").or(from_header)) {
            (None, None) => Ok(app),
            (Some(expected), Some(given)) if expected == given => Ok(app),
            (Some(_), Some(_)) => {
                let text = format!("Invalid client secret provided for app '{}'.", app.client_id);
                Err(EntraError::plain(401, "invalid_client", 7_000_215, text))
            }
            (Some(_), None) => {
                let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
                Err(EntraError::plain(401, "invalid_client", 7_000_218, text))
            }
            (None, Some(_)) => {
                let text =
                    "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.";
                Err(EntraError::plain(401, "invalid_client", 700_025, text))
            }
        }
    }
}

fn malformed(error: &dyn std::error::Error) -> EntraError {
    EntraError::invalid_request(
        9_002_313,
        format!("Invalid request. Request is malformed or invalid: {error}."),
    )
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Client id and secret of HTTP Basic, each form-encoded (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let decoded_header = STANDARD.decode(header.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(decoded_header).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}
