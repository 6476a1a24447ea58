//! The key ID tokens are signed with, and the key set that clients check them by (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::jwt;
use super::setup::SetupError;

/// The key of every simulator. It is public, proves nothing, and must never sign anything real.
const TEST_KEY_PEM: &str = include_str!("../../keys/test-signing-key.pem");

/// A key that signs with RS256 (RFC 7518 §3.3).
pub(super) struct SigningKey {
    pair: RsaKeyPair,
    modulus: String,
    exponent: String,
    /// The name of the key in headers and in the key set.
    kid: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key that comes with the simulator.
    pub(super) fn load() -> Result<Self, SetupError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(TEST_KEY_PEM.as_bytes());
        let der = der.map_err(SetupError::SigningKeyPem)?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(SetupError::SigningKey)?;
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let (modulus, exponent) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        // The thumbprint of RFC 7638 §3.
        let digest = Sha256::digest(format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#));
        Ok(Self { pair, modulus, exponent, kid: URL_SAFE_NO_PAD.encode(digest) })
    }

    /// A signed token with these claims; none when the machine has no randomness.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": self.kid});
        jwt::write(&header, claims, |message| {
            let mut signature = vec![0; self.pair.public().modulus_len()];
            self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
            Some(signature)
        })
    }

    /// The key set, as an issuer publishes it.
    pub(super) fn public_set(&self, issuer: &str) -> Value {
        json!({"keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": self.modulus,
            "e": self.exponent,
            "issuer": issuer,
        }]})
    }
}
