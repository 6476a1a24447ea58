//! Subscriptions and limits.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, done, ok, read, refused};
use crate::graph::subscriptions::send_lifecycle;
use crate::world::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    event: String,
}

/// `GET /control/subscriptions`
pub(super) async fn subscriptions(State(world): State<Arc<World>>) -> Response {
    ok(&json!({"subscriptions": world.subscriptions.list(&world)}))
}

/// `POST /control/subscriptions/{id}/lifecycle`: sends a lifecycle notification (graph-behaviour §8).
pub(super) async fn lifecycle(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    body: Result<Json<Value>, JsonRejection>,
) -> Answer {
    let wanted: Event = read(body)?;
    let sent = send_lifecycle(&world, &id, &wanted.event).await;
    sent.map(|()| done()).map_err(|error| refused(StatusCode::NOT_FOUND, error.to_string()))
}

/// `POST /control/limits/unblock`: applications that were blocked for ignoring `Retry-After` may come back.
pub(super) async fn unblock(State(world): State<Arc<World>>) -> Response {
    world.throttle.unblock();
    done()
}
