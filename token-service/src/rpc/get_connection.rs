//! `GetConnection`.

use std::sync::Arc;

use proto::token::v1::{GetConnectionRequest, GetConnectionResponse};
use service_kit::status::ApiError;

use super::{connection_message::connection_message, request_fields, status::api_error};
use crate::{
    domain::names::ConnectionName,
    ops::{Context, connection_requests::get_connection},
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &GetConnectionRequest,
) -> Result<GetConnectionResponse, ApiError> {
    let name = request_fields::name(ConnectionName::parse(&request.name))?;
    let (connection, health) = get_connection(context, &name).await.map_err(|error| api_error(&error))?;
    Ok(GetConnectionResponse { connection: Some(connection_message(connection, health)) })
}
