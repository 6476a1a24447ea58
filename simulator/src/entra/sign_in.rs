//! Sign-ins without a client: the refresh token another program would have got, for importing it.

use super::scopes::Scopes;
use crate::world::World;

/// Why no refresh token was issued.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No such application.
    #[error("no application has the id {0:?}")]
    UnknownClient(String),
    /// No such user.
    #[error("no user is called {0:?}")]
    UnknownUser(String),
    /// A scope does not exist, or none was named.
    #[error("the scope {0:?} is not one")]
    InvalidScope(String),
}

impl World {
    /// Signs a user in, the first one when none is named, and returns the refresh token.
    pub(crate) fn sign_in(
        &self,
        client_id: &str,
        scope: &str,
        user: Option<&str>,
    ) -> Result<String, SignInError> {
        let app =
            self.entra.app(client_id).ok_or_else(|| SignInError::UnknownClient(client_id.to_owned()))?;
        let found = match user {
            Some(name) => self.user(name),
            None => self.users.first(),
        };
        let user =
            found.cloned().ok_or_else(|| SignInError::UnknownUser(user.unwrap_or_default().to_owned()))?;
        let scopes = Scopes::parse(scope).ok().ok_or_else(|| SignInError::InvalidScope(scope.to_owned()))?;
        let now = self.clock.now_ms();
        let mut ledger = self.entra.ledger();
        ledger.consents.allow(&app.client_id, &user, &scopes);
        let family = ledger.begin_family(&app.client_id, user, scopes);
        Ok(ledger.issue_refresh(family, None, now))
    }
}
