//! `StartDeviceAuthorization`.

use std::sync::Arc;

use proto::token::v1::{StartDeviceAuthorizationRequest, StartDeviceAuthorizationResponse};
use service_kit::{
    clock::duration_to_proto,
    secret::SecretString,
    status::{ApiError, Violations},
};

use super::{authorization_message::authorization_message, request_fields, status::api_error};
use crate::{
    domain::names::ConnectionName,
    ops::{
        Context,
        start_device_authorization::{StartDeviceRequest, start_device_authorization},
    },
};

pub(super) async fn handle(
    context: &Arc<Context>,
    request: StartDeviceAuthorizationRequest,
) -> Result<StartDeviceAuthorizationResponse, ApiError> {
    let request = parse(request)?;
    let started = start_device_authorization(context, request).await.map_err(|error| api_error(&error))?;
    let shown = |text: Option<SecretString>| text.map(|text| text.expose().to_owned()).unwrap_or_default();
    Ok(StartDeviceAuthorizationResponse {
        authorization: Some(authorization_message(&started.authorization)),
        user_code: started.user_code.expose().to_owned(),
        verification_uri: started.verification_uri,
        verification_uri_complete: shown(started.verification_uri_complete),
        message: shown(started.message),
        expires_in: Some(duration_to_proto(started.lifetime)),
    })
}

fn parse(request: StartDeviceAuthorizationRequest) -> Result<StartDeviceRequest, ApiError> {
    let mut violations = Violations::new();
    let connection = violations.check("connection", ConnectionName::parse(&request.connection));
    let display_name = request_fields::display_name(&mut violations, request.display_name);
    let scopes = request_fields::scopes(&mut violations, &request.scopes);
    let parsed =
        || Some(StartDeviceRequest { connection: connection?, display_name: display_name?, scopes: scopes? });
    request_fields::complete(violations, parsed())
}
