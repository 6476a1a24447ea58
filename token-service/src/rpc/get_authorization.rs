//! `GetAuthorization`.

use std::sync::Arc;

use proto::token::v1::{GetAuthorizationRequest, GetAuthorizationResponse};
use service_kit::status::ApiError;

use super::{authorization_message::authorization_message, request_fields, status::api_error};
use crate::{
    domain::names::AuthorizationName,
    ops::{Context, watch_authorization::get_authorization},
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &GetAuthorizationRequest,
) -> Result<GetAuthorizationResponse, ApiError> {
    let name = request_fields::name(AuthorizationName::parse(&request.name))?;
    let authorization = get_authorization(context, &name).await.map_err(|error| api_error(&error))?;
    Ok(GetAuthorizationResponse { authorization: Some(authorization_message(&authorization)) })
}
