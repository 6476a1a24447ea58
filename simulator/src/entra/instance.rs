//! Instance discovery: the names of one authority, which MSAL asks for before it looks into its cache of tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::counters::Endpoint;
use crate::json;
use crate::world::World;

/// The name the service prefers.
const GLOBAL: &str = "login.microsoftonline.com";
/// The name under which tokens are cached.
const CACHED: &str = "login.windows.net";
/// Further names of the same authority.
const ALIASES: [&str; 2] = ["login.microsoft.com", "sts.windows.net"];

/// `GET /{tenant}/discovery/instance`
pub(super) async fn discover(State(world): State<Arc<World>>) -> Response {
    world.counters.request(Endpoint::Discovery);
    let base = &world.bases.authority;
    let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
    let mut aliases = vec![GLOBAL, CACHED];
    aliases.extend(ALIASES);
    let mut metadata =
        vec![json!({"preferred_network": GLOBAL, "preferred_cache": CACHED, "aliases": aliases})];
    if !aliases.contains(&host) {
        metadata.push(json!({"preferred_network": host, "preferred_cache": host, "aliases": [host]}));
    }
    let document = format!("{base}/common/v2.0/.well-known/openid-configuration");
    json::response(
        StatusCode::OK,
        &json!({"tenant_discovery_endpoint": document, "api-version": "1.1", "metadata": metadata}),
    )
}
