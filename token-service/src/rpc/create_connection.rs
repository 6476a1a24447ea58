//! `CreateConnection`.

use std::sync::Arc;

use proto::token::v1::{
    CreateConnectionRequest, CreateConnectionResponse, create_connection_request::Credential,
};
use service_kit::{
    resource_name::ResourceId,
    secret::SecretString,
    status::{ApiError, Violations},
};

use super::{connection_message::connection_message, request_fields, status::api_error};
use crate::{
    domain::names::{ConnectionName, TenantName},
    ops::{
        Context,
        create_connection::{ImportRequest, import_refresh_token},
    },
};

/// Most bytes of a refresh token; Entra's have about 2 KiB.
const MAX_REFRESH_TOKEN_BYTES: usize = 16 * 1024;

pub(super) async fn handle(
    context: &Arc<Context>,
    request: CreateConnectionRequest,
) -> Result<CreateConnectionResponse, ApiError> {
    let request = parse(request)?;
    let (connection, health) =
        import_refresh_token(context, request).await.map_err(|error| api_error(&error))?;
    Ok(CreateConnectionResponse { connection: Some(connection_message(connection, health)) })
}

fn parse(request: CreateConnectionRequest) -> Result<ImportRequest, ApiError> {
    let mut violations = Violations::new();
    let tenant = violations.check("parent", TenantName::parse(&request.parent));
    let id = violations.check("connection_id", ResourceId::parse(&request.connection_id));
    let display_name = request_fields::display_name(&mut violations, request.display_name);
    let scopes = request_fields::scopes(&mut violations, &request.scopes);
    let refresh_token = match request.credential {
        Some(Credential::RefreshToken(credential)) => {
            violations.check("refresh_token.refresh_token", refresh_token(credential.refresh_token))
        }
        Some(Credential::ClientCredentials(_)) => {
            violations.finish()?;
            return Err(ApiError::unimplemented("a connection by client credentials"));
        }
        None => {
            violations.add("credential", "is missing: give refresh_token");
            None
        }
    };
    let parsed = || {
        Some(ImportRequest {
            connection: ConnectionName::new(tenant?.tenant().clone(), id?),
            display_name: display_name?,
            scopes: scopes?,
            refresh_token: refresh_token?,
        })
    };
    request_fields::complete(violations, parsed())
}

fn refresh_token(text: String) -> Result<SecretString, String> {
    let token = SecretString::new(text);
    let length = token.expose().len();
    if length == 0 {
        return Err("is empty".to_owned());
    }
    if length > MAX_REFRESH_TOKEN_BYTES {
        return Err(format!("has more than {MAX_REFRESH_TOKEN_BYTES} bytes"));
    }
    if !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Err("contains a space, a line end or a character outside ASCII".to_owned());
    }
    Ok(token)
}
