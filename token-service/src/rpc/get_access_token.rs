//! `GetAccessToken`.

use std::{sync::Arc, time::Duration};

use proto::token::v1::{GetAccessTokenRequest, GetAccessTokenResponse};
use service_kit::{
    clock::duration_from_proto,
    status::{ApiError, Violations},
};

use super::{request_fields, status::api_error};
use crate::{
    domain::{
        names::ConnectionName,
        refresh_policy::{DEFAULT_MIN_TTL, MAX_MIN_TTL, Wish},
        token::TokenHash,
    },
    ops::{
        Context,
        get_access_token::{AccessTokenRequest, get_access_token},
    },
};

/// Most bytes of a claims challenge.
const MAX_CLAIMS_BYTES: usize = 8 * 1024;

pub(super) async fn handle(
    context: &Arc<Context>,
    request: GetAccessTokenRequest,
) -> Result<GetAccessTokenResponse, ApiError> {
    let request = parse(request)?;
    let token = get_access_token(context, &request).await.map_err(|error| api_error(&error))?;
    Ok(GetAccessTokenResponse {
        access_token: token.value.expose().to_owned(),
        token_type: token.kind.token_type.clone(),
        expire_time: Some(token.expire_time.to_proto()),
        scopes: token.kind.scopes.iter().map(str::to_owned).collect(),
    })
}

fn parse(request: GetAccessTokenRequest) -> Result<AccessTokenRequest, ApiError> {
    let mut violations = Violations::new();
    let connection = violations.check("connection", ConnectionName::parse(&request.connection));
    let min_ttl = violations.check("min_ttl", min_ttl(request.min_ttl.as_ref()));
    let scopes = request_fields::scopes(&mut violations, &request.scopes);
    let claims = violations.check("claims", claims(request.claims));
    let rejected = violations.check("rejected_token_sha256", rejected(&request.rejected_token_sha256));
    let parsed = || {
        let claims = claims?;
        let wish = Wish { min_ttl: min_ttl?, has_claims: claims.is_some(), rejected: rejected? };
        Some(AccessTokenRequest { connection: connection?, scopes: scopes?, claims, wish })
    };
    request_fields::complete(violations, parsed())
}

fn min_ttl(given: Option<&prost_types::Duration>) -> Result<Duration, String> {
    let Some(given) = given else { return Ok(DEFAULT_MIN_TTL) };
    duration_from_proto(given)
        .filter(|min_ttl| *min_ttl <= MAX_MIN_TTL)
        .ok_or_else(|| format!("is not between 0 and {} minutes", MAX_MIN_TTL.as_secs() / 60))
}

fn claims(text: String) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_CLAIMS_BYTES {
        return Err(format!("has more than {MAX_CLAIMS_BYTES} bytes"));
    }
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) if value.is_object() => Ok(Some(text)),
        Ok(_) | Err(_) => Err("is not a JSON object; give it base64-decoded".to_owned()),
    }
}

fn rejected(bytes: &[u8]) -> Result<Option<TokenHash>, &'static str> {
    if bytes.is_empty() {
        return Ok(None);
    }
    TokenHash::from_slice(bytes).map(Some).ok_or("is not a SHA-256: it must have 32 bytes")
}
