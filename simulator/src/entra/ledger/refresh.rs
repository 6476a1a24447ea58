//! Refresh tokens: every sign-in begins a family, every use adds a successor, and the rotation mode says what the old one is
//! still worth.

use super::consent::Consents;
use super::{Book, Ledger, MAX_FAMILIES, MAX_REFRESH_TOKENS};
use crate::config::{Platform, User};
use crate::entra::scopes::Scopes;
use crate::switches::Rotation;

/// AADSTS: the grant was revoked.
const REVOKED: u32 = 50_173;
/// AADSTS: the token is not (or no longer) one.
const INVALID: u32 = 70_000;
/// AADSTS: the token was not used for too long.
const INACTIVE: u32 = 700_082;
/// AADSTS: the sign-in on a page in a browser is over.
const SPA_OVER: u32 = 700_084;
/// AADSTS: consent was withdrawn.
const CONSENT_MISSING: u32 = 65_001;

/// All refresh tokens that go back to one sign-in.
#[derive(Clone)]
pub(crate) struct Family {
    /// The application.
    pub(crate) client_id: String,
    /// Who signed in.
    pub(crate) user: User,
    /// What was consented to.
    pub(crate) scopes: Scopes,
    /// What kind of application signed in.
    pub(crate) platform: Platform,
    /// When all its tokens end whatever happens, in milliseconds since the Unix epoch; successors inherit it.
    ends_ms: Option<u64>,
    revoked: Option<u32>,
}

/// What is revoked: everything, or that of a user, of an application, of a user with an application.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revoked {
    /// Object id of the user.
    pub(crate) oid: Option<String>,
    /// The application.
    pub(crate) client_id: Option<String>,
}

impl Revoked {
    /// Whether something of this application and user is among it.
    pub(super) fn covers(&self, client_id: &str, oid: Option<&str>) -> bool {
        self.client_id.as_deref().is_none_or(|only| only == client_id)
            && self.oid.as_deref().is_none_or(|only| oid == Some(only))
    }
}

/// One refresh token.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each remembers one thing that happened to the token, in any combination"
)]
pub(crate) struct Refresh {
    family: usize,
    parent: Option<String>,
    issued_ms: u64,
    used: bool,
    dead: bool,
    refused: bool,
    /// The answer with its successor never arrived, so its client cannot know better than to use it again.
    lost: bool,
}

/// The rules a refresh token is used under.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) rotation: Rotation,
    /// Life of a token that is not used, in milliseconds.
    pub(crate) lifetime_ms: u64,
    /// The present, in milliseconds since the Unix epoch.
    pub(crate) now_ms: u64,
}

/// What using a refresh token came to.
pub(crate) struct Use {
    /// The family it belongs to, or the AADSTS number of the refusal.
    pub(crate) outcome: Result<(usize, Family), u32>,
    /// It had been used before.
    pub(crate) reused: bool,
    /// It had been made invalid by a successor that the client was given.
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
        self.families.push(Family {
            client_id: client_id.to_owned(),
            user,
            scopes,
            platform: Platform::Native,
            ends_ms: None,
            revoked: None,
        });
        self.families.len() - 1
    }

    /// Says of a family from what kind of application it comes, and when it ends.
    pub(crate) fn shape_family(&mut self, family: usize, platform: Platform, ends_ms: Option<u64>) {
        if let Some(family) = self.families.get_mut(family) {
            family.platform = platform;
            family.ends_ms = ends_ms;
        }
    }

    /// The kind of application a refresh token was issued to.
    pub(crate) fn refresh_platform(&mut self, token: &str) -> Option<Platform> {
        let family = self.refresh.get_mut(token)?.family;
        self.families.get(family).map(|family| family.platform)
    }

    /// Issues a refresh token, as the successor of another or as the first of its family.
    pub(crate) fn issue_refresh(&mut self, family: usize, parent: Option<&str>, now_ms: u64) -> String {
        let token = self.secret("sim-rt-");
        let parent = parent.map(str::to_owned);
        let entry = Refresh {
            family,
            parent,
            issued_ms: now_ms,
            used: false,
            dead: false,
            refused: false,
            lost: false,
        };
        self.refresh.insert(token.clone(), entry);
        token
    }

    /// Uses a refresh token of an application. A request that is refused for what it asks for (`objects` gives the AADSTS number)
    /// does not use the token up, whatever the rotation: no answer replaced it. (No page says so; RFC 6749 §6 rotates only in
    /// a successful answer.)
    pub(in crate::entra) fn use_refresh(
        &mut self,
        token: &str,
        client_id: &str,
        rules: Rules,
        objects: impl FnOnce(&Family, &Consents) -> Option<u32>,
    ) -> Use {
        let Rules { rotation, lifetime_ms, now_ms } = rules;
        let Some(entry) = self.refresh.get_mut(token) else {
            return Use { outcome: Err(INVALID), reused: false, superseded: false, refused_before: false };
        };
        let number = entry.family;
        let (reused, superseded, refused_before) = (entry.used, entry.dead, entry.refused);
        let known = superseded && !entry.lost;
        let inactive = entry.issued_ms.saturating_add(lifetime_ms) <= now_ms;
        let parent = entry.parent.clone();
        let own = self.families.get(number).is_some_and(|family| family.client_id == client_id);
        let refusal = match self.families.get_mut(number) {
            None => Some(INVALID),
            Some(_) if !own => Some(INVALID),
            Some(family) => {
                if superseded && rotation == Rotation::Strict {
                    family.revoked = Some(REVOKED);
                }
                let over = family.ends_ms.is_some_and(|end| end <= now_ms).then_some(SPA_OVER);
                let stale = superseded.then_some(INVALID);
                family.revoked.or(stale).or(over).or(inactive.then_some(INACTIVE))
            }
        };
        let family = self.families.get(number).filter(|_| refusal.is_none());
        let objection = family.and_then(|family| objects(family, &self.consents));
        let outcome = match (refusal.or(objection), family) {
            (None, Some(family)) => Ok((number, family.clone())),
            (refusal, _) => Err(refusal.unwrap_or(INVALID)),
        };
        if let Some(entry) = self.refresh.get_mut(token) {
            entry.used |= outcome.is_ok();
            entry.refused |= refusal.is_some() && own;
            entry.dead |= outcome.is_ok() && rotation == Rotation::Strict;
        }
        if outcome.is_ok() && rotation == Rotation::Grace {
            self.retire(parent.as_deref(), token);
        }
        Use { outcome, reused, superseded: known, refused_before }
    }

    /// Remembers that the answer to the latest use of a token did not arrive.
    pub(crate) fn lose_answer(&mut self, token: &str) {
        if let Some(entry) = self.refresh.get_mut(token) {
            entry.lost = true;
        }
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

    /// Revokes sign-ins and the access tokens they gave; refreshing is then refused with the AADSTS number.
    pub(crate) fn revoke(&mut self, revoked: &Revoked, aadsts: u32) {
        self.revoke_families(revoked, aadsts);
        self.revoke_access(revoked);
    }

    /// Ends sign-ins whose consent was withdrawn; access tokens live on until they expire.
    pub(super) fn withdraw_families(&mut self, revoked: &Revoked) {
        self.revoke_families(revoked, CONSENT_MISSING);
    }

    fn revoke_families(&mut self, revoked: &Revoked, aadsts: u32) {
        let covered = |family: &&mut Family| revoked.covers(&family.client_id, Some(&family.user.oid));
        for family in self.families.iter_mut().filter(covered) {
            family.revoked = Some(aadsts);
        }
    }
}
