//! `Debug` for the messages that carry a secret: everything but the secret. `build.rs` names the same messages.

use std::fmt::{Debug, Formatter, Result};

use crate::token::v1::{
    CompleteCodeAuthorizationRequest, GetAccessTokenResponse, RefreshTokenCredential,
    StartCodeAuthorizationResponse, StartDeviceAuthorizationResponse,
};

impl Debug for GetAccessTokenResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("GetAccessTokenResponse")
            .field("token_type", &self.token_type)
            .field("expire_time", &self.expire_time)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl Debug for RefreshTokenCredential {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RefreshTokenCredential").finish_non_exhaustive()
    }
}

impl Debug for CompleteCodeAuthorizationRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CompleteCodeAuthorizationRequest").finish_non_exhaustive()
    }
}

impl Debug for StartDeviceAuthorizationResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("StartDeviceAuthorizationResponse")
            .field("authorization", &self.authorization)
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

impl Debug for StartCodeAuthorizationResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("StartCodeAuthorizationResponse")
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::v1::{CreateConnectionRequest, create_connection_request::Credential};

    const CANARY: &str = "canary-5f1c";

    #[test]
    fn no_message_shows_its_secret_in_debug_output() {
        let canary = || CANARY.to_owned();
        let texts = [
            format!("{:?}", GetAccessTokenResponse { access_token: canary(), ..Default::default() }),
            format!("{:?}", RefreshTokenCredential { refresh_token: canary() }),
            format!(
                "{:?}",
                CreateConnectionRequest {
                    credential: Some(Credential::RefreshToken(RefreshTokenCredential {
                        refresh_token: canary()
                    })),
                    ..Default::default()
                }
            ),
            format!("{:?}", CompleteCodeAuthorizationRequest { state: canary(), code: canary() }),
            format!(
                "{:?}",
                StartDeviceAuthorizationResponse {
                    user_code: canary(),
                    message: canary(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                StartCodeAuthorizationResponse { authorization_uri: canary(), ..Default::default() }
            ),
        ];
        for text in texts {
            assert!(!text.contains(CANARY), "{text}");
        }
    }
}
