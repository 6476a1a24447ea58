//! What the configuration registers, read once at the start: certificates and the keys of other issuers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::signature::RsaPublicKeyComponents;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use crate::config::{App, Issuer};

/// What is wrong with what was to be registered in Entra.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The signing key is not PEM.
    #[error("the signing key cannot be read")]
    SigningKeyPem(#[source] rustls::pki_types::pem::Error),
    /// The signing key is no RSA key.
    #[error("the signing key is not an RSA key in PKCS#8: {0}")]
    SigningKey(ring::error::KeyRejected),
    /// A certificate is not PEM.
    #[error("a certificate of application {client_id} cannot be read")]
    CertificatePem {
        /// The application.
        client_id: String,
        /// What is wrong.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate is not X.509.
    #[error("a certificate of application {client_id} is not one")]
    Certificate {
        /// The application.
        client_id: String,
        /// What is wrong.
        #[source]
        source: webpki::Error,
    },
    /// A key set has no RSA key.
    #[error("the key set of issuer {0} has no RSA key")]
    KeySet(String),
}

/// An application with its certificates read.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) app: App,
    pub(super) certificates: Vec<Certificate>,
}

impl Registration {
    pub(super) fn read(app: App) -> Result<Self, SetupError> {
        let certificates = app.certificates.iter().map(|pem| Certificate::read(pem, &app.client_id));
        Ok(Self { certificates: certificates.collect::<Result<_, _>>()?, app })
    }
}

/// A certificate and the names that assertions call it by.
#[derive(Debug)]
pub(super) struct Certificate {
    der: CertificateDer<'static>,
    /// `x5t` (RFC 7515 §4.1.7).
    sha1: String,
    /// `x5t#S256` (RFC 7515 §4.1.8).
    sha256: String,
}

impl Certificate {
    fn read(pem: &str, client_id: &str) -> Result<Self, SetupError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|source| SetupError::CertificatePem { client_id: client_id.to_owned(), source })?;
        webpki::EndEntityCert::try_from(&der)
            .map_err(|source| SetupError::Certificate { client_id: client_id.to_owned(), source })?;
        let sha1 = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der));
        Ok(Self { sha1, sha256: URL_SAFE_NO_PAD.encode(Sha256::digest(&der)), der })
    }

    /// Whether an assertion's header means this certificate. Names may be padded: MSAL for Python writes them so.
    pub(super) fn is_named(&self, x5t: Option<&str>, x5t_s256: Option<&str>) -> bool {
        match (x5t_s256, x5t) {
            (Some(name), _) => name.trim_end_matches('=') == self.sha256,
            (None, Some(name)) => name.trim_end_matches('=') == self.sha1,
            (None, None) => false,
        }
    }

    /// Whether its key made a signature (RS256 or PS256).
    pub(super) fn made(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match algorithm {
            "RS256" => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
            "PS256" => webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            _ => return false,
        };
        let certificate = webpki::EndEntityCert::try_from(&self.der);
        certificate
            .is_ok_and(|certificate| certificate.verify_signature(algorithm, message, signature).is_ok())
    }
}

/// Another issuer and its keys.
#[derive(Debug)]
pub(super) struct TrustedIssuer {
    pub(super) issuer: String,
    keys: Vec<IssuerKey>,
}

#[derive(Debug)]
struct IssuerKey {
    kid: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl TrustedIssuer {
    pub(super) fn read(issuer: &Issuer) -> Result<Self, SetupError> {
        let all = issuer.jwks.get("keys").and_then(serde_json::Value::as_array);
        let keys: Vec<IssuerKey> = all.into_iter().flatten().filter_map(IssuerKey::read).collect();
        if keys.is_empty() {
            return Err(SetupError::KeySet(issuer.issuer.clone()));
        }
        Ok(Self { issuer: issuer.issuer.clone(), keys })
    }

    /// Whether one of its keys made a signature (RS256); that of this name, if there is a name.
    pub(super) fn made(&self, kid: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        let fitting = self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        fitting.into_iter().any(|key| {
            let parts = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
            parts.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
        })
    }
}

impl IssuerKey {
    fn read(key: &serde_json::Value) -> Option<Self> {
        let part = |name: &str| URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok();
        let kid = key.get("kid").and_then(serde_json::Value::as_str).map(str::to_owned);
        (key.get("kty")?.as_str()? == "RSA").then_some(())?;
        Some(Self { kid, modulus: part("n")?, exponent: part("e")? })
    }
}
