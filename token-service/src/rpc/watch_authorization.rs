//! `WatchAuthorization`.

use std::sync::Arc;

use futures_util::StreamExt as _;
use proto::token::v1::{WatchAuthorizationRequest, WatchAuthorizationResponse};
use service_kit::{
    server::{Streamed, streamed},
    status::ApiError,
};
use tonic::Status;

use super::{
    authorization_message::authorization_message, connection_message::connection_message, request_fields,
    status::api_error,
};
use crate::{
    domain::names::AuthorizationName,
    ops::{
        Context,
        watch_authorization::{AuthorizationView, watch_authorization},
    },
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &WatchAuthorizationRequest,
) -> Result<Streamed<WatchAuthorizationResponse>, ApiError> {
    let name = request_fields::name(AuthorizationName::parse(&request.name))?;
    let views = watch_authorization(Arc::clone(context), name).await.map_err(|error| api_error(&error))?;
    Ok(streamed(views.map(|view| view.map(message).map_err(|error| Status::from(api_error(&error))))))
}

fn message(view: AuthorizationView) -> WatchAuthorizationResponse {
    WatchAuthorizationResponse {
        authorization: Some(authorization_message(&view.authorization)),
        connection: view.connection.map(|(connection, health)| connection_message(connection, health)),
    }
}
