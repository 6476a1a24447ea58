//! `WatchConnections`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use proto::token::v1::{self as wire, WatchConnectionsRequest, WatchConnectionsResponse};
use service_kit::{
    resource_name::ResourceId,
    server::{Streamed, streamed},
    status::{ApiError, Violations},
};
use tonic::Status;

use super::{connection_message::connection_message, request_fields, status::api_error};
use crate::{
    domain::connection::Connection,
    ops::{
        Context,
        watch_connections::{Position, Watched, watch_connections},
    },
};

/// What stands in front of the number in a resume token.
const TOKEN_VERSION: &str = "changes-1 ";
/// Most characters of a resume token.
const MAX_TOKEN_CHARS: usize = 64;

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &WatchConnectionsRequest,
) -> Result<Streamed<WatchConnectionsResponse>, ApiError> {
    let (tenant, from) = parse(request)?;
    let changes =
        watch_connections(Arc::clone(context), tenant, from).await.map_err(|error| api_error(&error))?;
    Ok(streamed(changes.map(|change| change.map(message).map_err(|error| Status::from(api_error(&error))))))
}

fn parse(request: &WatchConnectionsRequest) -> Result<(Option<ResourceId>, Option<Position>), ApiError> {
    let mut violations = Violations::new();
    let tenant = violations.check("parent", request_fields::tenant(&request.parent));
    let from = violations.check("resume_token", position(&request.resume_token));
    let parsed = || Some((tenant?, from?));
    request_fields::complete(violations, parsed())
}

fn position(token: &str) -> Result<Option<Position>, &'static str> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let number = std::str::from_utf8(&bytes).ok()?.strip_prefix(TOKEN_VERSION)?;
        Position::from_sequence(number.parse().ok()?)
    };
    let position = if token.len() > MAX_TOKEN_CHARS { None } else { read() };
    position.map(Some).ok_or("is not one that this service gave")
}

fn resume_token(position: Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{TOKEN_VERSION}{}", position.sequence()))
}

fn message(watched: Watched) -> WatchConnectionsResponse {
    match watched {
        Watched::Started(position) => {
            WatchConnectionsResponse { resume_token: resume_token(position), ..Default::default() }
        }
        Watched::Changed { connection, health, state, since, position } => {
            let connection = Connection { state, state_time: since, ..*connection };
            WatchConnectionsResponse {
                connection: Some(connection_message(connection, health)),
                resume_token: resume_token(position),
                deleted: false,
            }
        }
        Watched::Deleted { connection, position } => WatchConnectionsResponse {
            connection: Some(wire::Connection { name: connection.to_string(), ..Default::default() }),
            resume_token: resume_token(position),
            deleted: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resume_tokens_come_back_as_they_were_and_nothing_else_is_one() {
        let token = resume_token(Position::from_sequence(42).unwrap());
        assert_eq!(position(&token).unwrap().unwrap().sequence(), 42);
        assert_eq!(position("").unwrap(), None);
        let long = "A".repeat(MAX_TOKEN_CHARS + 1);
        let negative = URL_SAFE_NO_PAD.encode(format!("{TOKEN_VERSION}-1"));
        for bad in ["42", "AAAA", "é", long.as_str(), negative.as_str()] {
            assert!(position(bad).is_err(), "{bad}");
        }
    }
}
