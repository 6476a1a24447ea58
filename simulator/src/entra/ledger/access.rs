//! Access tokens: opaque, looked up on every call to Graph.

use super::Ledger;
use super::refresh::Revoked;
use crate::entra::scopes::Scopes;
use crate::switches::MAX_ACCESS_BYTES;

/// Bytes of the shortest access token: its prefix and 33 random bytes in Base64.
const SECRET_BYTES: usize = 7 + 44;

/// What an access token stands for.
#[derive(Clone)]
pub(crate) struct Access {
    /// The tenant.
    pub(crate) tid: String,
    /// The application.
    pub(crate) client_id: String,
    /// Object id of the user; none for an application that acts for itself.
    pub(crate) oid: Option<String>,
    /// What it allows.
    pub(crate) scopes: Scopes,
    /// When it expires, in milliseconds since the Unix epoch.
    pub(crate) expires_ms: u64,
    /// Whether the client said that it understands claims challenges (graph-behaviour §9.6).
    challengeable: bool,
    /// The token stands for a sign-in at least this late, in seconds since the Unix epoch.
    not_before: u64,
    dead: Option<AccessRefusal>,
    refused: bool,
}

/// Why an access token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessRefusal {
    /// It was never issued.
    Unknown,
    /// Its time is over, or is taken to be.
    Expired,
    /// The user's tokens were revoked.
    Revoked,
    /// A newer one with more claims is wanted.
    ClaimsWanted,
}

impl Access {
    /// A token that is good until a moment.
    pub(crate) fn new(who: (String, String, Option<String>), scopes: Scopes, expires_ms: u64) -> Self {
        let (tid, client_id, oid) = who;
        Self {
            tid,
            client_id,
            oid,
            scopes,
            expires_ms,
            challengeable: false,
            not_before: 0,
            dead: None,
            refused: false,
        }
    }

    /// A token whose client can be challenged, and which answers challenges up to this second.
    pub(crate) const fn challengeable(mut self, not_before: u64) -> Self {
        self.challengeable = true;
        self.not_before = not_before;
        self
    }
}

impl Ledger {
    /// Issues an access token of at least so many bytes.
    pub(crate) fn issue_access(&mut self, access: Access, bytes: usize) -> String {
        let mut token = self.secret("sim-at-");
        while token.len() < bytes.min(MAX_ACCESS_BYTES) {
            token.push_str(&self.secret("."));
        }
        token.truncate(bytes.clamp(SECRET_BYTES, MAX_ACCESS_BYTES));
        self.access.insert(token.clone(), access);
        token
    }

    /// What a token stands for, or why it is refused and whether it had been refused before.
    pub(crate) fn check_access(&mut self, token: &str, now_ms: u64) -> Result<Access, (AccessRefusal, bool)> {
        let Some(access) = self.access.get_mut(token) else {
            return Err((AccessRefusal::Unknown, false));
        };
        let challenge = access.oid.as_ref().and_then(|oid| self.challenges.get(oid));
        let challenged = access.challengeable && challenge.is_some_and(|since| access.not_before < *since);
        let wanted = challenged.then_some(AccessRefusal::ClaimsWanted);
        let expired = (access.expires_ms <= now_ms).then_some(AccessRefusal::Expired);
        match access.dead.or(expired).or(wanted) {
            None => Ok(access.clone()),
            Some(refusal) => Err((refusal, std::mem::replace(&mut access.refused, true))),
        }
    }

    /// Refuses a token from now on; this counts as its first refusal.
    pub(crate) fn kill_access(&mut self, token: &str, refusal: AccessRefusal) {
        if let Some(access) = self.access.get_mut(token) {
            access.dead = Some(refusal);
            access.refused = true;
        }
    }

    /// Challenges the clients of a user from this second on: a token has to stand for a later sign-in, or for a request that
    /// carried the claims of the challenge. Clients that did not say that they understand challenges notice nothing.
    pub(crate) fn challenge(&mut self, oid: &str, since: u64) {
        self.challenges.insert(oid.to_owned(), since);
    }

    /// Revokes access tokens. Clients that understand challenges are challenged instead.
    pub(super) fn revoke_access(&mut self, revoked: &Revoked) {
        for access in self.access.entries.values_mut() {
            if revoked.covers(&access.client_id, access.oid.as_deref()) {
                let challenged = access.challengeable;
                access.dead =
                    Some(if challenged { AccessRefusal::ClaimsWanted } else { AccessRefusal::Revoked });
            }
        }
    }
}
