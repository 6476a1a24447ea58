//! What people do: approve or decline a sign-in, or sign in somewhere else.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, bad, done, ok, read};
use crate::world::World;

type Body = Result<Json<Value>, JsonRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    user_code: String,
    #[serde(default)]
    user: Option<String>,
}

/// `GET /control/users`
pub(super) async fn users(State(world): State<Arc<World>>) -> Response {
    ok(&json!({"users": world.users}))
}

/// `GET /control/device-codes`: those that wait for a person.
pub(super) async fn pending(State(world): State<Arc<World>>) -> Response {
    ok(&json!({"pending": world.entra.ledger().pending_devices(world.clock.now_ms())}))
}

/// `POST /control/device-codes/approve`
pub(super) async fn approve(State(world): State<Arc<World>>, body: Body) -> Answer {
    let decision: Decision = read(body)?;
    world.approve(&decision.user_code, decision.user.as_deref()).map(|()| done()).map_err(bad)
}

/// `POST /control/device-codes/decline`
pub(super) async fn decline(State(world): State<Arc<World>>, body: Body) -> Answer {
    let decision: Decision = read(body)?;
    world.decline(&decision.user_code).map(|()| done()).map_err(bad)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    client_id: String,
    scope: String,
    #[serde(default)]
    user: Option<String>,
}

/// `POST /control/refresh-tokens`: what a sign-in somewhere else would have given.
pub(super) async fn issue_refresh_token(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: SignIn = read(body)?;
    let issued = world.sign_in(&wanted.client_id, &wanted.scope, wanted.user.as_deref());
    issued.map(|token| ok(&json!({"refresh_token": token}))).map_err(bad)
}
