//! `/{tenant}/oauth2/v2.0/authorize` and the pages that follow it (graph-behaviour §9.2).
//!
//! ```text
//!  request ──► signed in? ──no──► sign-in page ──► consented? ──no──► consent page ──► code, back to the client
//! ```
//! Every page can be left out: by the browser's session, by consent that was given, or by the switch that answers for people.

pub(in crate::entra) mod back;
pub(crate) mod request;
pub(in crate::entra) mod session;

use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use self::request::{Authorization, Prompt};
use super::TenantRef;
use super::client::Form;
use super::error::EntraError;
use super::html;
use super::ledger::code::Pending;
use super::scopes::Scopes;
use crate::config::User;
use crate::counters::Endpoint;
use crate::mix::{Sequence, guid};
use crate::switches::{AutoSignIn, Consent, SignInSwitches};
use crate::transport::{self, Peer};
use crate::world::World;

/// AADSTS: nobody is signed in, and no page may be shown.
const LOGIN_REQUIRED: u32 = 50_058;
/// AADSTS: nobody consented, and no page may be shown.
const CONSENT_MISSING: u32 = 65_001;
/// AADSTS: the person said no.
const DECLINED: u32 = 65_004;
/// AADSTS: an administrator has to consent.
const ADMIN_CONSENT_REQUIRED: u32 = 90_094;
/// AADSTS: the account belongs to another tenant.
const OTHER_TENANT: u32 = 50_020;
/// AADSTS: the page was left open too long, or sent twice.
const PAGE_OVER: u32 = 50_089;

/// `GET` or `POST /{tenant}/oauth2/v2.0/authorize`
pub(super) async fn authorize(
    State(world): State<Arc<World>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    world.counters.request(Endpoint::Authorize);
    let hits = world.faults.strike(Endpoint::Authorize, None);
    let form = Form::read(request).await;
    transport::respond(&world, &peer, &hits, async {
        let fault = hits.find(EntraError::of_fault);
        if let Some(response) = transport::status_fault(&world, &hits, |_, _, _| super::unavailable(&world)) {
            return response;
        }
        let opened = form.and_then(|form| {
            let tenant = TenantRef::parse(&world, &tenant)?;
            let (app, back) = request::origin(&world, &form)?;
            let asked = match fault {
                Some(error) => Err(error),
                None => Authorization::parse(&tenant, &form, app, &back),
            };
            Ok(match asked {
                Ok(asked) => begin(&world, asked, session::user(&world, form.cookies())),
                Err(error) => back.fail(&world, &error),
            })
        });
        opened.unwrap_or_else(|error| html::error_page(&world, &error))
    })
    .await
}

/// `POST /{tenant}/login`: the sign-in page was sent.
pub(super) async fn login(State(world): State<Arc<World>>, request: Request) -> Response {
    sent(&world, request, |world, pending, form| {
        let name = form.require("user")?;
        let user = world.user(name).filter(|user| pending.authorization.tenant.admits(&user.tid));
        let user = user.cloned().ok_or_else(|| EntraError::of(OTHER_TENANT))?;
        Ok(proceed(world, pending.authorization, user))
    })
    .await
}

/// `POST /{tenant}/consent`: the consent page was sent.
pub(super) async fn consent(State(world): State<Arc<World>>, request: Request) -> Response {
    sent(&world, request, |world, pending, _| {
        let user = pending.user.ok_or_else(|| EntraError::of(PAGE_OVER))?;
        let missing = missing(world, &pending.authorization, &user);
        if missing.need_admin() && !world.is_admin(&user) {
            return Ok(pending.authorization.back.fail(world, &EntraError::of(ADMIN_CONSENT_REQUIRED)));
        }
        Ok(finish(world, pending.authorization, user))
    })
    .await
}

/// What both pages have in common: who waited, and that people may say no.
async fn sent(
    world: &World,
    request: Request,
    answer: impl FnOnce(&World, Pending, &Form) -> Result<Response, EntraError> + Send,
) -> Response {
    world.counters.request(Endpoint::Authorize);
    let answered = Form::read(request).await.and_then(|form| {
        let waited = world.entra.ledger().waited(form.require("ctx")?);
        let pending = waited.ok_or_else(|| EntraError::of(PAGE_OVER))?;
        if form.get("decline").is_some() {
            return Ok(pending.authorization.back.fail(world, &EntraError::of(DECLINED)));
        }
        answer(world, pending, &form)
    });
    let response = answered.unwrap_or_else(|error| html::error_page(world, &error));
    world.counters.status(response.status());
    response
}

/// From the request to the first page, or past it.
fn begin(world: &World, asked: Authorization, session: Option<User>) -> Response {
    let switches = world.switches().sign_in;
    let automatic = match switches.auto {
        AutoSignIn::Off => None,
        AutoSignIn::Approve => automatic_user(world, &asked, &switches),
        AutoSignIn::Decline => return asked.back.fail(world, &EntraError::of(DECLINED)),
    };
    let present = session.filter(|user| asked.welcomes(user));
    let user = match asked.prompt {
        Prompt::Login | Prompt::SelectAccount => automatic,
        Prompt::Needed | Prompt::Silent | Prompt::Consent => present.or(automatic),
    };
    match user {
        Some(user) => proceed(world, asked, user),
        None if asked.prompt == Prompt::Silent => asked.back.fail(world, &EntraError::of(LOGIN_REQUIRED)),
        None => sign_in_page(world, asked),
    }
}

fn automatic_user(world: &World, asked: &Authorization, switches: &SignInSwitches) -> Option<User> {
    let named = asked.login_hint.as_deref().or(switches.auto_user.as_deref());
    let found = match named {
        Some(name) => world.user(name).filter(|user| asked.tenant.admits(&user.tid)),
        None => world.users.iter().find(|user| asked.tenant.admits(&user.tid)),
    };
    found.cloned()
}

/// From the sign-in to the consent, or past it.
fn proceed(world: &World, asked: Authorization, user: User) -> Response {
    let missing = missing(world, &asked, &user);
    let automatic = world.switches().sign_in.auto == AutoSignIn::Approve;
    let silent = asked.prompt == Prompt::Silent;
    if missing.need_admin() && !world.is_admin(&user) && (silent || automatic) {
        return asked.back.fail(world, &EntraError::of(ADMIN_CONSENT_REQUIRED));
    }
    if silent && !missing.is_empty() {
        let error = EntraError::of(CONSENT_MISSING).called("interaction_required");
        return asked.back.fail(world, &error);
    }
    if automatic || (missing.is_empty() && asked.prompt != Prompt::Consent) {
        return finish(world, asked, user);
    }
    consent_page(world, asked, user, &missing)
}

/// What somebody still has to consent to.
fn missing(world: &World, asked: &Authorization, user: &User) -> Scopes {
    match world.switches().sign_in.consent {
        Consent::Implied => Scopes::default(),
        Consent::Asked => world.entra.ledger().consents.missing(&asked.client_id, user, &asked.scopes),
    }
}

/// Leads back with a code; the browser is signed in from now on.
fn finish(world: &World, asked: Authorization, user: User) -> Response {
    let life = world.switches().sign_in.code_seconds.saturating_mul(1_000);
    let expires_ms = world.clock.now_ms().saturating_add(life);
    let back = asked.back.clone();
    let mut ledger = world.entra.ledger();
    ledger.consents.allow(&asked.client_id, &user, &asked.scopes);
    let cookie = ledger.begin_session(user.clone());
    let code = ledger.issue_code(asked, user, expires_ms);
    drop(ledger);
    let session_state = guid(Sequence::new(world.number()).bytes());
    session::signed_in(back.lead(&[("code", &code), ("session_state", &session_state)]), &cookie)
}

fn sign_in_page(world: &World, asked: Authorization) -> Response {
    let action = format!("/{}/login", asked.tenant.segment());
    let people = html::people(world, asked.login_hint.as_deref());
    let context = world.entra.ledger().wait(Pending { authorization: asked, user: None });
    let fields = html::hidden(&[("ctx", &context)]);
    let body = format!(
        "<form method=post action=\"{action}\">{fields}{people} <button>Sign in</button> \
         <button name=decline value=yes>Cancel</button></form>"
    );
    html::page(StatusCode::OK, "Sign in", &body)
}

fn consent_page(world: &World, asked: Authorization, user: User, missing: &Scopes) -> Response {
    let action = format!("/{}/consent", asked.tenant.segment());
    let blocked = missing.need_admin() && !world.is_admin(&user);
    let title = if blocked { "Need admin approval" } else { "Permissions requested" };
    let accept = if blocked { "" } else { "<button name=accept value=yes>Accept</button> " };
    let wanted: Vec<String> = asked.scopes.names().map(html::escaped).collect();
    let wanted = wanted.join("</li><li>");
    let context = world.entra.ledger().wait(Pending { authorization: asked, user: Some(user) });
    let fields = html::hidden(&[("ctx", &context)]);
    let body = format!(
        "<ul><li>{wanted}</li></ul><form method=post action=\"{action}\">{fields}{accept}\
         <button name=decline value=yes>Cancel</button></form>"
    );
    html::page(StatusCode::OK, title, &body)
}
