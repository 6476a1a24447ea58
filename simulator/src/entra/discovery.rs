//! The discovery document (OpenID Connect Discovery 1.0), the key set it names, and where errors lead.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::TenantRef;
use super::error::table;
use super::html;
use crate::counters::Endpoint;
use crate::json;
use crate::world::World;

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn document(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Response {
    world.counters.request(Endpoint::Discovery);
    let issuer = match TenantRef::parse(&world, &tenant) {
        Ok(tenant) => issuer(&world, &tenant),
        Err(error) => return error.into_response(&world),
    };
    let base = &world.bases.authority;
    let oauth = format!("{base}/{tenant}/oauth2/v2.0");
    json::response(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{oauth}/authorize"),
            "token_endpoint": format!("{oauth}/token"),
            "device_authorization_endpoint": format!("{oauth}/devicecode"),
            "end_session_endpoint": format!("{oauth}/logout"),
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "request_uri_parameter_supported": false,
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "nonce", "name", "preferred_username", "oid",
                "tid", "ver", "uti"],
            "http_logout_supported": false,
            "frontchannel_logout_supported": false,
            "tenant_region_scope": null,
            "cloud_instance_name": host(base),
            "cloud_graph_host_name": host(&world.bases.graph),
            "msgraph_host": host(&world.bases.graph),
        }),
    )
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub(super) async fn keys(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Response {
    world.counters.request(Endpoint::Discovery);
    match TenantRef::parse(&world, &tenant) {
        Ok(tenant) => json::response(StatusCode::OK, &world.entra.key.public_set(&issuer(&world, &tenant))),
        Err(error) => error.into_response(&world),
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    code: u32,
}

/// `GET /error?code=…`: where `error_uri` leads.
pub(super) async fn error(Query(asked): Query<Asked>) -> Response {
    match table::of_number(asked.code) {
        Some(row) => {
            let text = format!("{} ({}): {}", html::escaped(row.name), row.error, html::escaped(row.text));
            html::page(StatusCode::OK, &format!("AADSTS{}", row.aadsts), &text)
        }
        None => html::page(StatusCode::NOT_FOUND, "There is no such error.", ""),
    }
}

fn issuer(world: &World, tenant: &TenantRef) -> String {
    let named = match tenant {
        TenantRef::One(tid) => tid.as_str(),
        TenantRef::Any(_) => "{tenantid}",
    };
    format!("{}/{named}/v2.0", world.bases.authority)
}

/// Host and port of an address.
fn host(base: &str) -> &str {
    base.split_once("://").map_or(base, |(_, host)| host)
}
