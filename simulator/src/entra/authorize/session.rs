//! The cookie of a browser that is signed in, and signing out (OpenID Connect RP-Initiated Logout).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::User;
use crate::entra::client::Form;
use crate::entra::html;
use crate::world::World;

/// The name of the cookie, as Entra calls its own.
const COOKIE: &str = "ESTSAUTHPERSISTENT";

/// Who is signed in in a browser that sends these cookies.
pub(super) fn user(world: &World, cookies: Option<&str>) -> Option<User> {
    world.entra.ledger().session(value(cookies?)?)
}

/// The same answer, with the cookie of a browser that is signed in.
pub(super) fn signed_in(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(format!("{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax")) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// `GET` or `POST /{tenant}/oauth2/v2.0/logout`
pub(in crate::entra) async fn logout(State(world): State<Arc<World>>, request: Request) -> Response {
    let form = match Form::read(request).await {
        Ok(form) => form,
        Err(error) => return html::error_page(&world, &error),
    };
    if let Some(cookie) = form.cookies().and_then(value) {
        world.entra.ledger().end_session(cookie);
    }
    let registered = |uri: &&str| world.entra.apps().any(|app| app.registered_redirect(uri).is_some());
    let onward = form.get("post_logout_redirect_uri").filter(registered);
    match onward.and_then(|uri| HeaderValue::try_from(uri).ok()) {
        Some(address) => (StatusCode::FOUND, [(header::LOCATION, address)]).into_response(),
        None => html::page(StatusCode::OK, "You signed out of your account", ""),
    }
}

fn value(cookies: &str) -> Option<&str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
