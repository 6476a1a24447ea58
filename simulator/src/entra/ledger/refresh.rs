//! Refresh tokens: every sign-in begins a family, every use adds a successor, and the rotation mode says what the old one is
//! still worth.

use super::{Book, Ledger, MAX_FAMILIES, MAX_REFRESH_TOKENS};
use crate::config::User;
use crate::entra::scopes::Scopes;
use crate::switches::Rotation;

/// AADSTS: the grant was revoked.
const REVOKED: u32 = 50_173;
/// AADSTS: the token is not (or no longer) one.
const INVALID: u32 = 70_000;
/// AADSTS: the token was not used for too long.
const INACTIVE: u32 = 700_082;

/// All refresh tokens that go back to one sign-in.
#[derive(Clone)]
pub(crate) struct Family {
    /// The application.
    pub(crate) client_id: String,
    /// Who signed in.
    pub(crate) user: User,
    /// What was consented to.
    pub(crate) scopes: Scopes,
    revoked: Option<u32>,
}

/// One refresh token.
pub(crate) struct Refresh {
    family: usize,
    parent: Option<String>,
    issued_ms: u64,
    used: bool,
    dead: bool,
    refused: bool,
}

/// What using a refresh token came to.
pub(crate) struct Use {
    /// The family it belongs to, or the AADSTS number of the refusal.
    pub(crate) outcome: Result<(usize, Family), u32>,
    /// It had been used before.
    pub(crate) reused: bool,
    /// It had been made invalid by a successor.
    pub(crate) superseded: bool,
    /// It had been refused before.
    pub(crate) refused_before: bool,
}

impl Ledger {
    /// Begins a family and returns its number.
    pub(crate) fn begin_family(&mut self, client_id: &str, user: User, scopes: Scopes) -> usize {
        if self.families.len() >= MAX_FAMILIES {
            self.families.clear();
            self.refresh = Book::new(MAX_REFRESH_TOKENS);
        }
        self.families.push(Family { client_id: client_id.to_owned(), user, scopes, revoked: None });
        self.families.len() - 1
    }

    /// Issues a refresh token, as the successor of another or as the first of its family.
    pub(crate) fn issue_refresh(&mut self, family: usize, parent: Option<&str>, now_ms: u64) -> String {
        let token = self.secret("sim-rt-");
        let parent = parent.map(str::to_owned);
        let entry = Refresh { family, parent, issued_ms: now_ms, used: false, dead: false, refused: false };
        self.refresh.insert(token.clone(), entry);
        token
    }

    /// Uses a refresh token of an application.
    pub(crate) fn use_refresh(
        &mut self,
        token: &str,
        client_id: &str,
        rules: (Rotation, u64),
        now_ms: u64,
    ) -> Use {
        let (rotation, lifetime_ms) = rules;
        let Some(entry) = self.refresh.get_mut(token) else {
            return Use { outcome: Err(INVALID), reused: false, superseded: false, refused_before: false };
        };
        let number = entry.family;
        let (reused, superseded, refused_before) = (entry.used, entry.dead, entry.refused);
        let inactive = entry.issued_ms.saturating_add(lifetime_ms) <= now_ms;
        let parent = entry.parent.clone();
        let refusal = match self.families.get_mut(number) {
            None => Some(INVALID),
            Some(family) if family.client_id != client_id => Some(INVALID),
            Some(family) => {
                if superseded && rotation == Rotation::Strict {
                    family.revoked = Some(REVOKED);
                }
                family.revoked.or(superseded.then_some(INVALID)).or(inactive.then_some(INACTIVE))
            }
        };
        let outcome = match (refusal, self.families.get(number)) {
            (None, Some(family)) => Ok((number, family.clone())),
            (refusal, _) => Err(refusal.unwrap_or(INVALID)),
        };
        if let Some(entry) = self.refresh.get_mut(token) {
            entry.used |= outcome.is_ok();
            entry.refused |= outcome.is_err();
            entry.dead |= outcome.is_ok() && rotation == Rotation::Strict;
        }
        if outcome.is_ok() && rotation == Rotation::Grace {
            self.retire(parent.as_deref(), token);
        }
        Use { outcome, reused, superseded, refused_before }
    }

    /// The first use of a successor ends its predecessor, and the successors that the predecessor had beside it.
    fn retire(&mut self, parent: Option<&str>, user: &str) {
        let Some(parent) = parent else { return };
        for (token, entry) in &mut self.refresh.entries {
            if token == parent || (token != user && entry.parent.as_deref() == Some(parent)) {
                entry.dead = true;
            }
        }
    }

    /// Revokes everything a user's sign-ins gave, with the AADSTS number that refreshing is then refused with.
    pub(crate) fn revoke_user(&mut self, oid: &str, aadsts: u32) {
        for family in self.families.iter_mut().filter(|family| family.user.oid == oid) {
            family.revoked = Some(aadsts);
        }
        self.revoke_access(oid);
    }
}
