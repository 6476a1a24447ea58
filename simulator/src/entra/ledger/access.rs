//! Access tokens: opaque, looked up on every call to Graph.

use super::Ledger;
use crate::entra::scopes::Scopes;

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
        Self { tid, client_id, oid, scopes, expires_ms, dead: None, refused: false }
    }
}

impl Ledger {
    /// Issues an access token.
    pub(crate) fn issue_access(&mut self, access: Access) -> String {
        let token = self.secret("sim-at-");
        self.access.insert(token.clone(), access);
        token
    }

    /// What a token stands for, or why it is refused and whether it had been refused before.
    pub(crate) fn check_access(&mut self, token: &str, now_ms: u64) -> Result<Access, (AccessRefusal, bool)> {
        let Some(access) = self.access.get_mut(token) else {
            return Err((AccessRefusal::Unknown, false));
        };
        let expired = (access.expires_ms <= now_ms).then_some(AccessRefusal::Expired);
        match access.dead.or(expired) {
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

    /// Revokes every access token of a user.
    pub(super) fn revoke_access(&mut self, oid: &str) {
        for access in self.access.entries.values_mut().filter(|access| access.oid.as_deref() == Some(oid)) {
            access.dead = Some(AccessRefusal::Revoked);
        }
    }
}
