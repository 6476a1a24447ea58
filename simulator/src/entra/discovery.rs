//! The discovery document (OpenID Connect Discovery 1.0) and the key set it names.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::TenantRef;
use crate::counters::Endpoint;
use crate::json;
use crate::world::World;

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn document(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Response {
    world.counters.request(Endpoint::Discovery);
    let issuer_tenant = match TenantRef::parse(&world, &tenant) {
        Ok(TenantRef::One(tid)) => tid,
        Ok(TenantRef::Any) => "{tenantid}".to_owned(),
        Err(error) => return error.into_response(&world),
    };
    let base = &world.bases.authority;
    let oauth = format!("{base}/{tenant}/oauth2/v2.0");
    json::response(
        StatusCode::OK,
        &json!({
            "issuer": format!("{base}/{issuer_tenant}/v2.0"),
            "authorization_endpoint": format!("{oauth}/authorize"),
            "token_endpoint": format!("{oauth}/token"),
            "device_authorization_endpoint": format!("{oauth}/devicecode"),
            "end_session_endpoint": format!("{oauth}/logout"),
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["none"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "name", "preferred_username", "oid", "tid"],
            "msgraph_host": world.bases.graph,
        }),
    )
}

/// `GET /{tenant}/discovery/v2.0/keys`: no keys, because ID tokens are not signed.
pub(super) async fn keys(State(world): State<Arc<World>>) -> Response {
    world.counters.request(Endpoint::Discovery);
    json::response(StatusCode::OK, &json!({"keys": []}))
}
