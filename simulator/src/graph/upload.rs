//! Upload sessions (graph-behaviour §5.2): created with a bearer token, fed without one.

pub(super) mod commit;
pub(super) mod create;
mod fragment;
mod session;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use self::session::Session;
pub(crate) use self::session::Uploads;
use super::error::GraphError;
use super::{no_content, timestamp};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::faults::{FaultKind, Hits};
use crate::json;
use crate::switches::BearerOnLinks;
use crate::transport::{self, Peer};
use crate::world::World;

/// Where sessions are fed.
pub(super) const PATH: &str = "/_api/v2.0/uploadSession/";

/// Serves the address of a session.
pub(super) async fn serve(
    world: &Arc<World>,
    peer: &Peer,
    token: &str,
    request: (Method, HeaderMap, Body),
) -> Response {
    let (method, headers, body) = request;
    world.counters.request(Endpoint::Fragment);
    let drive = world.uploads.get(token).and_then(|session| world.drive_at(session.drive));
    let hits = world.faults.strike(Endpoint::Fragment, drive.as_ref().map(|drive| drive.ids.drive()));
    // The body is read whatever comes of it, so that a refusal does not look like a broken connection.
    let body = fragment::receive(body, &headers).await;
    transport::respond(world, peer, &hits, async {
        let answer = match refuse_bearer(world, &headers) {
            Some(refusal) => Ok(refusal),
            None => act(world, token, (&method, &headers, body), &hits).await,
        };
        answer.unwrap_or_else(|error| error.into_response(world))
    })
    .await
}

/// A bearer token has no business on a pre-authenticated address.
pub(super) fn refuse_bearer(world: &World, headers: &HeaderMap) -> Option<Response> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    world.note(
        ViolationKind::BearerOnUploadUrl,
        "a bearer token was sent to the address of an upload session or a copy",
    );
    let refused = world.switches().bearer_on_links == BearerOnLinks::Refused;
    refused.then(|| GraphError::bad_link().into_response(world))
}

async fn act(
    world: &World,
    token: &str,
    request: (&Method, &HeaderMap, Result<bytes::Bytes, GraphError>),
    hits: &Hits,
) -> Result<Response, GraphError> {
    let (method, headers, body) = request;
    if let Some(response) = GraphError::on_demand(world, hits) {
        return Ok(response);
    }
    if hits.has(&FaultKind::Transient404) {
        return Err(GraphError::item_not_found());
    }
    let session = world.uploads.get(token).ok_or_else(unknown)?;
    session.check_life(world)?;
    match method.as_str() {
        "GET" => Ok(json::response(StatusCode::OK, &status(world, &session))),
        "DELETE" => {
            world.uploads.remove(token);
            Ok(no_content())
        }
        "PUT" => fragment::put(world, token, (headers, body?), hits).await,
        "POST" => commit::deferred(world, token, &body?, hits).await,
        _ => Err(GraphError::not_supported()),
    }
}

/// 404 for a session that does not exist (any more).
fn unknown() -> GraphError {
    let message = "The upload session was not found.";
    GraphError::with_inner(404, "itemNotFound", "uploadSessionNotFound", message)
}

/// What a session tells about itself.
fn status(world: &World, session: &Session) -> Value {
    let expires = timestamp::write(session.kind, session.expires_ms(&world.switches().uploads));
    json!({"expirationDateTime": expires, "nextExpectedRanges": session.missing()})
}
