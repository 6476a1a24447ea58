//! Consents: what users allowed applications, and what administrators allowed them for everybody (graph-behaviour §9.4).

use std::collections::BTreeMap;

use super::Ledger;
use super::refresh::Revoked;
use crate::config::User;
use crate::entra::scopes::Scopes;

/// Who consented to what. There are no more entries than users and tenants times applications.
#[derive(Default)]
pub(in crate::entra) struct Consents {
    /// By application and object id.
    users: BTreeMap<(String, String), Scopes>,
    /// By application and tenant.
    tenants: BTreeMap<(String, String), Scopes>,
}

impl Consents {
    /// Notes what a user allowed.
    pub(in crate::entra) fn allow(&mut self, client_id: &str, user: &User, scopes: &Scopes) {
        self.users.entry((client_id.to_owned(), user.oid.clone())).or_default().add(scopes);
    }

    /// Notes what an administrator allowed for everybody.
    pub(in crate::entra) fn allow_all(&mut self, client_id: &str, tid: &str, scopes: &Scopes) {
        self.tenants.entry((client_id.to_owned(), tid.to_owned())).or_default().add(scopes);
    }

    /// Whether an administrator allowed the application anything.
    pub(in crate::entra) fn is_allowed_for_all(&self, client_id: &str, tid: &str) -> bool {
        self.tenants.contains_key(&(client_id.to_owned(), tid.to_owned()))
    }

    /// What of these scopes nobody has allowed yet.
    pub(in crate::entra) fn missing(&self, client_id: &str, user: &User, scopes: &Scopes) -> Scopes {
        let own = self.users.get(&(client_id.to_owned(), user.oid.clone()));
        let everybody = self.tenants.get(&(client_id.to_owned(), user.tid.clone()));
        scopes.without(|name| [own, everybody].into_iter().flatten().any(|given| given.has(name)))
    }
}

impl Ledger {
    /// Withdraws consents, those of administrators too when no user is named; the sign-ins that rest on them end.
    pub(crate) fn withdraw_consent(&mut self, revoked: &Revoked) {
        self.consents.users.retain(|(client_id, oid), _| !revoked.covers(client_id, Some(oid)));
        self.consents.tenants.retain(|(client_id, _), _| !revoked.covers(client_id, None));
        self.withdraw_families(revoked);
    }
}
