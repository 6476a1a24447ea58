//! `/{tenant}/v2.0/adminconsent`: an administrator consents for everybody (graph-behaviour §9.4).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::TenantRef;
use super::authorize::back::{Back, ResponseMode};
use super::client::Form;
use super::error::EntraError;
use super::html;
use super::scopes::Scopes;
use crate::config::User;
use crate::counters::Endpoint;
use crate::switches::AutoSignIn;
use crate::world::World;

/// AADSTS: the address to lead back to is not registered.
const REDIRECT_NOT_REGISTERED: u32 = 50_011;
/// AADSTS: the person said no.
const DECLINED: u32 = 65_004;
/// AADSTS: the person is no administrator of the tenant.
const NOT_ADMIN: u32 = 90_094;
/// What the older address, which names no scopes, asks for.
const REGISTERED_SCOPES: &str = "https://graph.microsoft.com/.default";

/// `GET` shows the page, `POST` is what it sends.
pub(super) async fn endpoint(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    world.counters.request(Endpoint::Authorize);
    let answered = Form::read(request).await.and_then(|form| answer(&world, &tenant, &form));
    let response = answered.unwrap_or_else(|error| html::error_page(&world, &error));
    world.counters.status(response.status());
    response
}

fn answer(world: &World, tenant: &str, form: &Form) -> Result<Response, EntraError> {
    let tenant = TenantRef::parse(world, tenant)?;
    let app = form.app(world)?;
    let uri = form.require("redirect_uri")?;
    let redirect = app.registered_redirect(uri).ok_or_else(|| EntraError::of(REDIRECT_NOT_REGISTERED))?;
    let state = form.get("state").map(str::to_owned);
    let back = Back { uri: uri.to_owned(), platform: redirect.platform, mode: ResponseMode::Query, state };
    let scope = form.get("scope").unwrap_or(REGISTERED_SCOPES);
    let scopes = match Scopes::parse(scope) {
        Ok(scopes) => scopes,
        Err(error) => return Ok(back.fail(world, &error)),
    };
    let decided = match world.switches().sign_in.auto {
        AutoSignIn::Approve => Some(world.admin(&tenant)),
        AutoSignIn::Decline => return Ok(back.fail(world, &EntraError::of(DECLINED))),
        AutoSignIn::Off if form.get("decline").is_some() => {
            return Ok(back.fail(world, &EntraError::of(DECLINED)));
        }
        AutoSignIn::Off => form
            .get("user")
            .map(|name| world.user(name).filter(|user| world.is_admin(user) && tenant.admits(&user.tid))),
    };
    Ok(match decided {
        None => page(world, form, scope),
        Some(None) => back.fail(world, &EntraError::of(NOT_ADMIN)),
        Some(Some(admin)) => {
            world.entra.ledger().consents.allow_all(&app.client_id, &admin.tid, &scopes);
            back.lead(&[("admin_consent", "True"), ("tenant", &admin.tid), ("scope", scope)])
        }
    })
}

fn page(world: &World, form: &Form, scope: &str) -> Response {
    let kept = ["client_id", "redirect_uri", "state"].map(|name| (name, form.get(name).unwrap_or_default()));
    let fields = html::hidden(&kept) + &html::hidden(&[("scope", scope)]);
    let people = html::people(world, None);
    let body = format!(
        "<p>{}</p><form method=post>{fields}{people} <button>Accept for your organization</button> \
         <button name=decline value=yes>Cancel</button></form>",
        html::escaped(scope)
    );
    html::page(StatusCode::OK, "Permissions requested for your organization", &body)
}

impl World {
    /// Whether somebody may consent for everybody.
    pub(super) fn is_admin(&self, user: &User) -> bool {
        self.entra.admins.iter().any(|name| user.is_called(name))
    }

    /// The first administrator of a tenant.
    fn admin(&self, tenant: &TenantRef) -> Option<&User> {
        self.users.iter().find(|user| tenant.admits(&user.tid) && self.is_admin(user))
    }
}
