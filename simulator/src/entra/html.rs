//! The pages people see, without anything but forms in them.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};

use super::error::EntraError;
use crate::config::User;
use crate::world::World;

/// Text that stands in a page or in an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A page.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let text =
        format!("<!doctype html><meta charset=utf-8><title>{0}</title><h1>{0}</h1>{body}", escaped(title));
    let mut response = (status, Html(text)).into_response();
    response.headers_mut().insert(
        axum::http::header::CACHE_CONTROL,
        axum::http::HeaderValue::from_static("no-store, no-cache"),
    );
    response
}

/// The page that is shown where no client can be told.
pub(super) fn error_page(world: &World, error: &EntraError) -> Response {
    page(
        StatusCode::BAD_REQUEST,
        "Sorry, but we are having trouble signing you in.",
        &escaped(&error.description(world)),
    )
}

/// A choice of the people who can sign in, the one of this name chosen.
pub(super) fn people(world: &World, chosen: Option<&str>) -> String {
    let options = world.users.iter().map(|user: &User| {
        let selected = if chosen == Some(user.upn.as_str()) { " selected" } else { "" };
        format!("<option{selected}>{}</option>", escaped(&user.upn))
    });
    format!("<select name=user>{}</select>", options.collect::<String>())
}

/// Fields that go with a form unseen.
pub(super) fn hidden(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<input type=hidden name={name} value=\"{}\">", escaped(value))
    };
    fields.iter().map(field).collect()
}
