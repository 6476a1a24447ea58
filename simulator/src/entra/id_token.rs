//! ID tokens: a JWT in form, unsigned (`alg` `none`), for clients that only read who signed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::config::User;
use crate::world::World;

/// The ID token of a user for an application.
pub(super) fn issue(world: &World, user: &User, client_id: &str, lifetime_seconds: u64) -> String {
    let now = world.clock.now_seconds();
    let header = json!({"typ": "JWT", "alg": "none"});
    let claims = json!({
        "aud": client_id,
        "iss": format!("{}/{}/v2.0", world.bases.authority, user.tid),
        "iat": now,
        "nbf": now,
        "exp": now + lifetime_seconds,
        "name": user.name,
        "preferred_username": user.upn,
        "oid": user.oid,
        "sub": crate::mix::guid(crate::mix::Sequence::new(crate::mix::text(&user.oid)).bytes()),
        "tid": user.tid,
        "ver": "2.0",
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(&claims))
}
