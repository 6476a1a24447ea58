//! What ends sign-ins from outside: revocation, withdrawn consent, and events that have to be answered (graph-behaviour §9.6).

use super::ledger::refresh::Revoked;
use crate::world::World;

/// Why nothing was revoked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// No such user.
    #[error("no user is called {0:?}")]
    UnknownUser(String),
    /// No such application.
    #[error("no application has the id {0:?}")]
    UnknownClient(String),
}

impl World {
    /// Revokes what sign-ins gave; refreshing is then refused with this AADSTS number.
    pub(crate) fn revoke(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
        aadsts: u32,
    ) -> Result<(), RevocationError> {
        let revoked = self.revoked(user, client_id)?;
        self.entra.ledger().revoke(&revoked, aadsts);
        Ok(())
    }

    /// Withdraws consents.
    pub(crate) fn withdraw_consent(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
    ) -> Result<(), RevocationError> {
        let revoked = self.revoked(user, client_id)?;
        self.entra.ledger().withdraw_consent(&revoked);
        Ok(())
    }

    /// Challenges the clients of a user.
    pub(crate) fn challenge(&self, user: &str) -> Result<(), RevocationError> {
        let found = self.user(user).ok_or_else(|| RevocationError::UnknownUser(user.to_owned()))?;
        self.entra.ledger().challenge(&found.oid, self.clock.now_seconds());
        Ok(())
    }

    fn revoked(&self, user: Option<&str>, client_id: Option<&str>) -> Result<Revoked, RevocationError> {
        let oid = user.map(|name| {
            let found = self.user(name).map(|user| user.oid.clone());
            found.ok_or_else(|| RevocationError::UnknownUser(name.to_owned()))
        });
        let client_id = client_id.map(|id| {
            let found = self.entra.app(id).map(|app| app.client_id.clone());
            found.ok_or_else(|| RevocationError::UnknownClient(id.to_owned()))
        });
        Ok(Revoked { oid: oid.transpose()?, client_id: client_id.transpose()? })
    }
}
