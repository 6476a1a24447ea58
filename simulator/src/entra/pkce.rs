//! Proof Key for Code Exchange (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::error::EntraError;

/// AADSTS: the challenge is missing or has no valid size.
const CHALLENGE_MISSING: u32 = 50_147;
/// AADSTS: the request makes no sense.
const INVALID_REQUEST: u32 = 90_023;
/// AADSTS: the verifier is not the one the challenge was made from.
const VERIFIER_MISMATCH: u32 = 501_481;

/// What a verifier is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    value: String,
    hashed: bool,
}

impl Challenge {
    /// Reads the parameters of an authorization request; without a method the challenge is the verifier itself (§4.3).
    pub(super) fn parse(
        value: Option<&str>,
        method: Option<&str>,
        required: bool,
    ) -> Result<Option<Self>, EntraError> {
        let Some(value) = value else {
            return if required { Err(EntraError::of(CHALLENGE_MISSING)) } else { Ok(None) };
        };
        let hashed = match method {
            Some("S256") => true,
            Some("plain") | None => false,
            Some(other) => {
                let text = format!("The code challenge method '{other}' is not supported.");
                return Err(EntraError::of(INVALID_REQUEST).saying(text));
            }
        };
        if !is_verifier(value) || (hashed && value.len() != 43) {
            return Err(EntraError::of(CHALLENGE_MISSING));
        }
        Ok(Some(Self { value: value.to_owned(), hashed }))
    }

    /// Checks what a token request proves; a verifier without a challenge is as wrong as a challenge without one.
    pub(super) fn check(challenge: Option<&Self>, verifier: Option<&str>) -> Result<(), EntraError> {
        let good = match (challenge, verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) if is_verifier(verifier) => challenge.fits(verifier),
            _ => false,
        };
        if good { Ok(()) } else { Err(EntraError::of(VERIFIER_MISMATCH)) }
    }

    fn fits(&self, verifier: &str) -> bool {
        if self.hashed {
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == self.value
        } else {
            verifier == self.value
        }
    }
}

/// §4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 Appendix B
    #[test]
    fn the_example_of_the_rfc_fits() {
        let challenge = Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let challenge = Challenge::parse(challenge, Some("S256"), true).unwrap().unwrap();
        assert!(challenge.fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
    }
}
