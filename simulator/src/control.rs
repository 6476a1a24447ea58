//! The control interface: JSON over a listener of its own, so that a product can never reach it by accident.

mod drives;
mod graph;
mod people;
mod revocation;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use crate::json;
use crate::world::World;

/// The routes of the control interface.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/control/drives", get(drives::list).post(drives::create))
        .route("/control/drives/{id}/changes", post(drives::change))
        .route("/control/drives/{id}/entries", get(drives::entries))
        .route("/control/drives/{id}/expire-delta-links", post(drives::expire_delta_links))
        .route("/control/faults", get(state::faults).post(state::add_fault).delete(state::clear_faults))
        .route("/control/faults/{id}", delete(state::remove_fault))
        .route("/control/switches", get(state::switches).put(state::set_switches))
        .route("/control/counters", get(state::counters))
        .route("/control/counters/reset", post(state::reset_counters))
        .route("/control/violations", get(state::violations).delete(state::clear_violations))
        .route("/control/subscriptions", get(graph::subscriptions))
        .route("/control/subscriptions/{id}/lifecycle", post(graph::lifecycle))
        .route("/control/limits/unblock", post(graph::unblock))
        .route("/control/clock/advance", post(state::advance_clock))
        .route("/control/device-codes", get(people::pending))
        .route("/control/device-codes/approve", post(people::approve))
        .route("/control/device-codes/decline", post(people::decline))
        .route("/control/users", get(people::users))
        .route("/control/users/revoke", post(revocation::revoke_user))
        .route("/control/users/challenge", post(revocation::challenge))
        .route("/control/sign-ins/revoke", post(revocation::revoke))
        .route("/control/consents/withdraw", post(revocation::withdraw))
        .route("/control/entra-errors", get(revocation::errors))
        .route("/control/refresh-tokens", post(people::issue_refresh_token))
        .route("/control/openapi.json", get(openapi))
        .fallback(async || {
            refused(StatusCode::NOT_FOUND, "no such control address; see the simulator's README")
        })
        .with_state(world)
}

/// `GET /control/openapi.json`: these routes as a document.
async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../openapi.json")).into_response()
}

/// What every endpoint answers: JSON, or a refusal.
type Answer = Result<Response, Refusal>;

/// Why a request to the control interface was not carried out.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json::response(self.status, &json!({"error": self.message}))
    }
}

fn ok(body: &impl serde::Serialize) -> Response {
    json::response(StatusCode::OK, body)
}

fn done() -> Response {
    json::response(StatusCode::OK, &json!({}))
}

fn refused(status: StatusCode, message: impl Into<String>) -> Refusal {
    Refusal { status, message: message.into() }
}

fn bad(error: impl std::fmt::Display) -> Refusal {
    refused(StatusCode::BAD_REQUEST, error.to_string())
}

/// Reads a body into what an endpoint wants, or says which part of it is wrong.
fn read<T: serde::de::DeserializeOwned>(
    body: Result<axum::Json<Value>, JsonRejection>,
) -> Result<T, Refusal> {
    let axum::Json(value) = body.map_err(|error| bad(error.body_text()))?;
    serde_json::from_value(value).map_err(bad)
}
