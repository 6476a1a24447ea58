//! Authorization codes, the sign-in pages that lead to them, and the browsers that are signed in (graph-behaviour §9.2).

use super::Ledger;
use crate::config::{Platform, User};
use crate::entra::authorize::request::Authorization;
use crate::entra::pkce::Challenge;
use crate::entra::scopes::Scopes;

/// AADSTS: the code is not one.
const INVALID: u32 = 70_000;
/// AADSTS: the code is too old.
const EXPIRED: u32 = 70_008;
/// AADSTS: the code was redeemed before.
const REDEEMED: u32 = 54_005;

/// What an authorization code stands for.
#[derive(Clone)]
pub(crate) struct CodeGrant {
    /// The application.
    pub(crate) client_id: String,
    /// Where the code was sent.
    pub(crate) redirect_uri: String,
    /// The kind of application that stands there.
    pub(crate) platform: Platform,
    /// What the verifier is checked against.
    pub(crate) challenge: Option<Challenge>,
    /// Goes into the ID token.
    pub(crate) nonce: Option<String>,
    /// What was allowed.
    pub(crate) scopes: Scopes,
    /// Who signed in.
    pub(crate) user: User,
    /// Whether the client said that it understands claims challenges.
    pub(crate) challengeable: bool,
    expires_ms: u64,
    redeemed: bool,
}

/// A page that waits for a person.
#[derive(Clone)]
pub(crate) struct Pending {
    /// What the client asked for.
    pub(crate) authorization: Authorization,
    /// Who has signed in already; none when that is what the page asks.
    pub(crate) user: Option<User>,
}

impl Ledger {
    /// Issues an authorization code.
    pub(crate) fn issue_code(&mut self, asked: Authorization, user: User, expires_ms: u64) -> String {
        let code = self.secret("sim-ac-");
        let grant = CodeGrant {
            client_id: asked.client_id,
            redirect_uri: asked.back.uri,
            platform: asked.back.platform,
            challenge: asked.challenge,
            nonce: asked.nonce,
            scopes: asked.scopes,
            user,
            challengeable: asked.challengeable,
            expires_ms,
            redeemed: false,
        };
        self.codes.insert(code.clone(), grant);
        code
    }

    /// What a code of an application stands for, or the AADSTS number of the refusal. It is not used up by being looked at.
    pub(crate) fn code(&self, code: &str, client_id: &str, now_ms: u64) -> Result<CodeGrant, u32> {
        let grant = self.codes.get(code).filter(|grant| grant.client_id == client_id).ok_or(INVALID)?;
        if grant.redeemed {
            return Err(REDEEMED);
        }
        if grant.expires_ms <= now_ms { Err(EXPIRED) } else { Ok(grant.clone()) }
    }

    /// Uses a code up; false when somebody else was faster.
    pub(crate) fn redeem_code(&mut self, code: &str) -> bool {
        self.codes.get_mut(code).is_some_and(|grant| !std::mem::replace(&mut grant.redeemed, true))
    }

    /// Remembers a page that waits for a person; returns what the page names it by.
    pub(crate) fn wait(&mut self, pending: Pending) -> String {
        let context = self.secret("sim-page-");
        self.pending.insert(context.clone(), pending);
        context
    }

    /// The page that waited; once.
    pub(crate) fn waited(&mut self, context: &str) -> Option<Pending> {
        self.pending.remove(context)
    }

    /// Remembers that a browser is signed in; returns the value of its cookie.
    pub(crate) fn begin_session(&mut self, user: User) -> String {
        let session = self.secret("sim-session-");
        self.sessions.insert(session.clone(), user);
        session
    }

    /// Who is signed in in the browser with this cookie.
    pub(crate) fn session(&self, cookie: &str) -> Option<User> {
        self.sessions.get(cookie).cloned()
    }

    /// Forgets a browser.
    pub(crate) fn end_session(&mut self, cookie: &str) {
        self.sessions.remove(cookie);
    }
}
