//! `RefreshConnection`.

use std::sync::Arc;

use proto::token::v1::{RefreshConnectionRequest, RefreshConnectionResponse};
use service_kit::status::ApiError;

use super::{connection_message::connection_message, request_fields, status::api_error};
use crate::{
    domain::names::ConnectionName,
    ops::{Context, refresh_connection::refresh_connection},
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &RefreshConnectionRequest,
) -> Result<RefreshConnectionResponse, ApiError> {
    let name = request_fields::name(ConnectionName::parse(&request.name))?;
    let (connection, health) = refresh_connection(context, &name).await.map_err(|error| api_error(&error))?;
    Ok(RefreshConnectionResponse { connection: Some(connection_message(connection, health)) })
}
