//! ID tokens (OpenID Connect Core §2), signed with RS256.

use serde_json::json;

use crate::config::User;
use crate::mix::{Sequence, guid, join, text};
use crate::world::World;

/// The ID token of a user for an application; none when the machine has no randomness to sign with.
pub(super) fn issue(
    world: &World,
    user: &User,
    client_id: &str,
    nonce: Option<&str>,
    lifetime_seconds: u64,
) -> Option<String> {
    let now = world.clock.now_seconds();
    // Pairwise: another application knows the same user by another name.
    let subject = Sequence::new(join(text(&user.oid), text(client_id))).bytes();
    let mut claims = json!({
        "aud": client_id,
        "iss": format!("{}/{}/v2.0", world.bases.authority, user.tid),
        "iat": now,
        "nbf": now,
        "exp": now.saturating_add(lifetime_seconds),
        "name": user.name,
        "preferred_username": user.upn,
        "oid": user.oid,
        "sub": guid(subject),
        "tid": user.tid,
        "uti": guid(Sequence::new(world.number()).bytes()),
        "ver": "2.0",
    });
    if let (Some(nonce), Some(members)) = (nonce, claims.as_object_mut()) {
        members.insert("nonce".to_owned(), nonce.into());
    }
    world.entra.key.sign(&claims)
}
