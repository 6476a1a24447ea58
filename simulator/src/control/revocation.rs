//! What ends sign-ins from outside, and the errors of Entra that faults can name.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, done, ok, read, refused};
use crate::entra::RevocationError;
use crate::entra::error::table::entra_errors;
use crate::world::World;

/// AADSTS number a revoked grant is refused with when none is chosen.
const REVOKED: u32 = 50_173;

type Body = Result<Json<Value>, JsonRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfUser {
    user: String,
    #[serde(default)]
    aadsts: Option<u32>,
}

/// `POST /control/users/revoke`
pub(super) async fn revoke_user(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: OfUser = read(body)?;
    answer(world.revoke(Some(&wanted.user), None, wanted.aadsts.unwrap_or(REVOKED)))
}

/// `POST /control/users/challenge`: clients that understand claims challenges are challenged.
pub(super) async fn challenge(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: ChallengedUser = read(body)?;
    answer(world.challenge(&wanted.user))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengedUser {
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIns {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    aadsts: Option<u32>,
}

/// `POST /control/sign-ins/revoke`: of a user, with an application, or all.
pub(super) async fn revoke(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: SignIns = read(body)?;
    let number = wanted.aadsts.unwrap_or(REVOKED);
    answer(world.revoke(wanted.user.as_deref(), wanted.client_id.as_deref(), number))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consents {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
}

/// `POST /control/consents/withdraw`: of a user, for an application, or all.
pub(super) async fn withdraw(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: Consents = read(body)?;
    answer(world.withdraw_consent(wanted.user.as_deref(), wanted.client_id.as_deref()))
}

/// `GET /control/entra-errors`
pub(super) async fn errors() -> Response {
    ok(&json!({"errors": entra_errors()}))
}

fn answer(done_or_not: Result<(), RevocationError>) -> Answer {
    match done_or_not {
        Ok(()) => Ok(done()),
        Err(error) => Err(refused(StatusCode::NOT_FOUND, error.to_string())),
    }
}
