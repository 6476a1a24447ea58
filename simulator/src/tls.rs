//! TLS of the listeners: with a certificate of the user's, or with one made at the start by an authority that lives no longer than
//! its making.

use std::fmt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The names a made certificate is for: those under which unchanged clients look for Entra, Graph and downloads, and this machine's.
pub const TLS_NAMES: [&str; 10] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "graph.microsoft.com",
    "contoso.sharepoint.com",
    "contoso-my.sharepoint.com",
    "my.microsoftpersonalcontent.com",
    "localhost",
    "127.0.0.1",
    "::1",
];

/// The only protocol behind TLS that the listeners speak.
const ALPN: &[u8] = b"http/1.1";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made; most likely a name is not one.
    #[error("the certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// The file of certificates is not PEM, or holds none.
    #[error("no certificate can be read from the PEM text")]
    Certificate,
    /// The file of the key is not PEM, or holds none.
    #[error("no private key can be read from the PEM text")]
    Key,
    /// The key is not that of the certificate, or of a kind that is not supported.
    #[error("the certificate and its key do not serve")]
    Unusable(#[from] rustls::Error),
}

/// A certificate with its key, for [`Config::tls`](crate::Config::tls).
#[derive(Clone)]
pub struct TlsIdentity {
    certificates: String,
    key: String,
    authority: Option<String>,
}

impl TlsIdentity {
    /// A certificate chain, the server's own first, and its key, both in PEM.
    #[must_use]
    pub const fn from_pem(certificates: String, key: String) -> Self {
        Self { certificates, key, authority: None }
    }

    /// Makes an authority, a certificate by it for these host names and addresses, and forgets the authority's key.
    ///
    /// # Errors
    /// [`TlsError::Make`] when a name is not ASCII.
    pub fn make(names: &[String]) -> Result<Self, TlsError> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "m365-sim authority of this start");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "m365-sim");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Self {
            certificates: certificate.pem(),
            key: key.serialize_pem(),
            authority: Some(authority.pem()),
        })
    }

    /// The certificate of the authority clients have to trust, in PEM; none when the certificate came from outside.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// What turns connections into TLS ones.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificates.as_bytes()).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok().ok_or(TlsError::Key)?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsIdentity").field("made", &self.authority.is_some()).finish_non_exhaustive()
    }
}
