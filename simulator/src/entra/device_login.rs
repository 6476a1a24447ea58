//! `/devicelogin`: the page a person opens to approve a device code.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use serde::Deserialize;

use super::html::{escaped, people};
use super::ledger::device::DecisionError;
use crate::world::World;

/// What the page sends.
#[derive(Deserialize)]
pub(super) struct Answer {
    user_code: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    decline: Option<String>,
}

/// `GET /devicelogin`
pub(super) async fn page(State(world): State<Arc<World>>) -> Html<String> {
    let people = people(&world, None);
    Html(format!(
        "<!doctype html><title>Sign in</title><h1>Enter the code</h1><form method=post>\
         <input name=user_code autofocus required> as {people} \
         <button>Approve</button> <button name=decline value=yes>Decline</button></form>"
    ))
}

/// `POST /devicelogin`
pub(super) async fn submit(State(world): State<Arc<World>>, Form(answer): Form<Answer>) -> Response {
    let user = (!answer.user.is_empty()).then_some(answer.user.as_str());
    let decided = match answer.decline {
        Some(_) => world.decline(&answer.user_code),
        None => world.approve(&answer.user_code, user),
    };
    match decided {
        Ok(()) => Html("<!doctype html><title>Done</title><p>Done. You may close this page.".to_owned())
            .into_response(),
        Err(error) => {
            let text = format!("<!doctype html><title>Sign in</title><p>{}", escaped(&error.to_string()));
            (StatusCode::BAD_REQUEST, Html(text)).into_response()
        }
    }
}

impl World {
    /// Approves a user code as this user, or as the first one.
    pub(crate) fn approve(&self, user_code: &str, user: Option<&str>) -> Result<(), DecisionError> {
        let found = match user {
            Some(name) => self.user(name),
            None => self.users.first(),
        };
        let user =
            found.cloned().ok_or_else(|| DecisionError::UnknownUser(user.unwrap_or_default().to_owned()))?;
        self.entra.ledger().decide_device(user_code, Some(user), self.clock.now_ms())
    }

    /// Declines a user code.
    pub(crate) fn decline(&self, user_code: &str) -> Result<(), DecisionError> {
        self.entra.ledger().decide_device(user_code, None, self.clock.now_ms())
    }
}
