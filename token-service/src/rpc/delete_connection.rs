//! `DeleteConnection`.

use std::sync::Arc;

use proto::token::v1::{DeleteConnectionRequest, DeleteConnectionResponse};
use service_kit::status::ApiError;

use super::{request_fields, status::api_error};
use crate::{
    domain::names::ConnectionName,
    ops::{Context, connection_requests::delete_connection},
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &DeleteConnectionRequest,
) -> Result<DeleteConnectionResponse, ApiError> {
    let name = request_fields::name(ConnectionName::parse(&request.name))?;
    delete_connection(context, &name).await.map_err(|error| api_error(&error))?;
    Ok(DeleteConnectionResponse {})
}
