//! What an authorization request asks for (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).

use crate::config::{App, Platform, User};
use crate::entra::TenantRef;
use crate::entra::authorize::back::{Back, ResponseMode};
use crate::entra::claims::ClaimsRequest;
use crate::entra::client::Form;
use crate::entra::error::EntraError;
use crate::entra::pkce::Challenge;
use crate::entra::scopes::Scopes;
use crate::world::World;

/// AADSTS: the address to lead back to is not registered.
const REDIRECT_NOT_REGISTERED: u32 = 50_011;
/// AADSTS: only `code` is answered.
const UNSUPPORTED_RESPONSE_TYPE: u32 = 70_005;
/// AADSTS: the request makes no sense.
const INVALID_REQUEST: u32 = 90_023;

/// An authorization request that can be answered.
#[derive(Clone)]
pub(crate) struct Authorization {
    pub(in crate::entra) tenant: TenantRef,
    pub(in crate::entra) client_id: String,
    /// Where the answer goes.
    pub(in crate::entra) back: Back,
    pub(in crate::entra) scopes: Scopes,
    pub(in crate::entra) challenge: Option<Challenge>,
    pub(in crate::entra) nonce: Option<String>,
    pub(in crate::entra) prompt: Prompt,
    pub(in crate::entra) login_hint: Option<String>,
    /// The client understands claims challenges.
    pub(in crate::entra) challengeable: bool,
}

/// Which pages the client wants to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::entra) enum Prompt {
    /// Those that are needed.
    Needed,
    /// None at all.
    Silent,
    /// The sign-in, whoever is signed in.
    Login,
    /// The choice of the account.
    SelectAccount,
    /// The consent, whatever was consented to.
    Consent,
}

/// The application that asks and where its answer goes; when this fails there is nowhere to lead back to.
pub(super) fn origin<'w>(world: &'w World, form: &Form) -> Result<(&'w App, Back), EntraError> {
    let app = form.app(world)?;
    let uri = form.require("redirect_uri")?;
    let redirect = app.registered_redirect(uri).ok_or_else(|| {
        let text = format!(
            "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the \
             application '{}'.",
            app.client_id
        );
        EntraError::of(REDIRECT_NOT_REGISTERED).saying(text)
    })?;
    let mode = ResponseMode::parse(form.get("response_mode"))?;
    let state = form.get("state").map(str::to_owned);
    Ok((app, Back { uri: uri.to_owned(), platform: redirect.platform, mode, state }))
}

impl Authorization {
    /// The rest of the request; when this fails the client is told.
    pub(super) fn parse(tenant: &TenantRef, form: &Form, app: &App, back: &Back) -> Result<Self, EntraError> {
        let response_type = form.require("response_type")?;
        if response_type != "code" {
            let text = format!("The response_type '{response_type}' is not supported.");
            return Err(EntraError::of(UNSUPPORTED_RESPONSE_TYPE).saying(text));
        }
        let spa = back.platform == Platform::Spa;
        let (challenge, method) = (form.get("code_challenge"), form.get("code_challenge_method"));
        Ok(Self {
            tenant: tenant.clone(),
            client_id: app.client_id.clone(),
            back: back.clone(),
            scopes: Scopes::parse(form.require("scope")?)?,
            challenge: Challenge::parse(challenge, method, spa)?,
            nonce: form.get("nonce").map(str::to_owned),
            prompt: Prompt::parse(form.get("prompt"))?,
            login_hint: form.get("login_hint").map(str::to_owned),
            challengeable: ClaimsRequest::parse(form.get("claims"))?.challengeable,
        })
    }

    /// Whether somebody may answer it: of the tenant, and the one the client means.
    pub(super) fn welcomes(&self, user: &User) -> bool {
        let hint = self.login_hint.as_deref();
        self.tenant.admits(&user.tid) && hint.is_none_or(|hint| user.is_called(hint))
    }
}

impl Prompt {
    fn parse(text: Option<&str>) -> Result<Self, EntraError> {
        match text {
            None => Ok(Self::Needed),
            Some("none") => Ok(Self::Silent),
            Some("login") => Ok(Self::Login),
            Some("select_account") => Ok(Self::SelectAccount),
            Some("consent" | "admin_consent") => Ok(Self::Consent),
            Some(other) => {
                let text = format!("Unsupported 'prompt' value '{other}'.");
                Err(EntraError::of(INVALID_REQUEST).saying(text))
            }
        }
    }
}
