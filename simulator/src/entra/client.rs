//! The form of a request, and which application sends it.

use std::collections::HashMap;

use axum::extract::Request;
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::error::EntraError;
use super::setup::Registration;
use super::{MAX_BODY_BYTES, TenantRef, assertion};
use crate::config::{App, Platform};
use crate::world::World;

/// AADSTS: no such application.
const APP_NOT_FOUND: u32 = 700_016;
/// AADSTS: the request is malformed.
const MALFORMED: u32 = 9_002_313;
/// AADSTS: the request makes no sense.
const INVALID_REQUEST: u32 = 90_023;
/// AADSTS: the application did not prove itself.
const CREDENTIAL_MISSING: u32 = 7_000_218;
/// AADSTS: the secret is not the one.
const WRONG_SECRET: u32 = 7_000_215;
/// AADSTS: an application without a secret sent one.
const PUBLIC_WITH_CREDENTIAL: u32 = 700_025;
/// AADSTS: a page in a browser has to ask across origins.
const SPA_NOT_CROSS_ORIGIN: u32 = 9_002_327;
/// AADSTS: only a page in a browser may ask across origins.
const CROSS_ORIGIN_NOT_SPA: u32 = 9_002_326;

/// The parameters of a request, from its address and its form body, and the headers that matter beside them: `Authorization`,
/// which may stand in for client id and secret, `Cookie` and `Origin`. Its fields are secrets.
pub(super) struct Form {
    fields: HashMap<String, String>,
    basic: Option<(String, String)>,
    cookies: Option<String>,
    origin: Option<String>,
}

/// What a request offers to prove its application.
enum Proof<'a> {
    Nothing,
    Secret(&'a str),
    Assertion(&'a str),
}

impl Form {
    /// Reads the form of a request.
    pub(super) async fn read(request: Request) -> Result<Self, EntraError> {
        let (parts, body) = request.into_parts();
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let basic = text(header::AUTHORIZATION).as_deref().and_then(basic);
        let (cookies, origin) = (text(header::COOKIE), text(header::ORIGIN));
        let query = parts.uri.query().unwrap_or_default();
        let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| malformed(&error))?;
        let body = std::str::from_utf8(&bytes).map_err(|error| malformed(&error))?;
        let pairs = query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty());
        let fields = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        Ok(Self { fields: fields.collect(), basic, cookies, origin })
    }

    /// The `Cookie` header.
    pub(super) fn cookies(&self) -> Option<&str> {
        self.cookies.as_deref()
    }

    /// Whether a page of another origin sends the request (the `Origin` header is there).
    pub(super) const fn is_cross_origin(&self) -> bool {
        self.origin.is_some()
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
        self.registration(world).map(|registration| &registration.app)
    }

    fn registration<'w>(&self, world: &'w World) -> Result<&'w Registration, EntraError> {
        let from_header = self.basic.as_ref().map(|(id, _)| id.as_str());
        let client_id =
            self.get("client_id").or(from_header).ok_or_else(|| EntraError::missing("client_id"))?;
        world.entra.registration(client_id).ok_or_else(|| {
            let text = format!("Application with identifier '{client_id}' was not found in the directory.");
            EntraError::of(APP_NOT_FOUND).saying(text)
        })
    }

    fn proof(&self) -> Result<Proof<'_>, EntraError> {
        let from_header = self.basic.as_ref().map(|(_, secret)| secret.as_str());
        if let Some(assertion) = self.get("client_assertion") {
            if self.require("client_assertion_type")? != assertion::TYPE {
                return Err(
                    EntraError::of(INVALID_REQUEST).saying("The 'client_assertion_type' is not supported.")
                );
            }
            return Ok(Proof::Assertion(assertion));
        }
        Ok(self.get("client_secret").or(from_header).map_or(Proof::Nothing, Proof::Secret))
    }

    /// The application, proven by its secret or an assertion when it has one to prove itself by.
    pub(super) fn authenticated_app<'w>(
        &self,
        world: &'w World,
        tenant: &TenantRef,
    ) -> Result<&'w App, EntraError> {
        let registration = self.registration(world)?;
        let app = &registration.app;
        match self.proof()? {
            _ if !app.is_confidential() => self.public_app(world),
            Proof::Nothing => Err(EntraError::of(CREDENTIAL_MISSING)),
            Proof::Secret(given) if app.secret.as_deref() == Some(given) => Ok(app),
            Proof::Secret(_) => {
                let text = format!("Invalid client secret provided for app '{}'.", app.client_id);
                Err(EntraError::of(WRONG_SECRET).saying(text))
            }
            Proof::Assertion(given) => assertion::check(world, tenant, registration, given).map(|()| app),
        }
    }

    /// The application, which must not try to prove itself: it runs where no secret is one.
    pub(super) fn public_app<'w>(&self, world: &'w World) -> Result<&'w App, EntraError> {
        match self.proof()? {
            Proof::Nothing => self.app(world),
            Proof::Secret(_) | Proof::Assertion(_) => Err(EntraError::of(PUBLIC_WITH_CREDENTIAL)),
        }
    }

    /// The application behind something that was issued to a platform: a server proves itself, anything else must not, and only
    /// pages in a browser ask across origins.
    pub(super) fn app_on<'w>(
        &self,
        world: &'w World,
        tenant: &TenantRef,
        platform: Platform,
    ) -> Result<&'w App, EntraError> {
        match (platform, self.is_cross_origin()) {
            (Platform::Spa, false) => Err(EntraError::of(SPA_NOT_CROSS_ORIGIN)),
            (Platform::Web | Platform::Native, true) => Err(EntraError::of(CROSS_ORIGIN_NOT_SPA)),
            (Platform::Web, false) => self.authenticated_app(world, tenant),
            (Platform::Spa, true) | (Platform::Native, false) => self.public_app(world),
        }
    }
}

fn malformed(error: &dyn std::error::Error) -> EntraError {
    EntraError::of(MALFORMED).saying(format!("Invalid request. Request is malformed or invalid: {error}."))
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
