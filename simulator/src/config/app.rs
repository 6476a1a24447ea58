//! Registered applications: what proves them, and where a sign-in may lead back to.

use serde::{Deserialize, Serialize};

/// A registered application. One without secret, certificate and federated credential is a public client.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// Certificates (X.509, RSA, PEM) whose keys sign its assertions (RFC 7523 §2.2).
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Tokens of other issuers that prove it instead.
    #[serde(default)]
    pub federated: Vec<FederatedCredential>,
    /// Where a sign-in may lead back to.
    #[serde(default)]
    pub redirects: Vec<Redirect>,
}

impl App {
    /// An application that cannot keep a secret.
    #[must_use]
    pub fn public(client_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), ..Self::default() }
    }

    /// An application with a secret.
    #[must_use]
    pub fn confidential(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { secret: Some(secret.into()), ..Self::public(client_id) }
    }

    /// Registers an address that a sign-in may lead back to.
    #[must_use]
    pub fn redirect(mut self, uri: impl Into<String>, platform: Platform) -> Self {
        self.redirects.push(Redirect { uri: uri.into(), platform });
        self
    }

    /// Registers a certificate (PEM) whose key signs assertions.
    #[must_use]
    pub fn certificate(mut self, pem: impl Into<String>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Registers tokens of another issuer that prove it.
    #[must_use]
    pub fn federated(mut self, credential: FederatedCredential) -> Self {
        self.federated.push(credential);
        self
    }

    /// Whether it has to prove itself.
    pub(crate) const fn is_confidential(&self) -> bool {
        self.secret.is_some() || !self.certificates.is_empty() || !self.federated.is_empty()
    }

    /// The registered redirect that an address fits.
    pub(crate) fn registered_redirect(&self, uri: &str) -> Option<&Redirect> {
        self.redirects.iter().find(|redirect| redirect.admits(uri))
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("App")
            .field("client_id", &self.client_id)
            .field("confidential", &self.is_confidential())
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// A token of another issuer that proves an application, such as that of a Kubernetes service account. All three have to be
/// the same to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedCredential {
    /// The `iss` claim; an [`Issuer`] of the configuration.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
    /// The `aud` claim, by convention `api://AzureADTokenExchange`.
    pub audience: String,
}

/// An issuer of tokens for [`FederatedCredential`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its address, as in the `iss` claim.
    pub issuer: String,
    /// Its key set (RFC 7517 §5); RSA keys count.
    pub jwks: serde_json::Value,
}

/// The kind of application an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// A server; it proves itself when it redeems a code.
    Web,
    /// A page in a browser: PKCE is required, codes are redeemed across origins, refresh tokens end after 24 hours.
    Spa,
    /// A program on a device.
    Native,
}

/// An address that a sign-in may lead back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The address. That of a loopback host fits with any port (RFC 8252 §7.3).
    pub uri: String,
    /// What stands behind it.
    pub platform: Platform,
}

impl Redirect {
    fn admits(&self, uri: &str) -> bool {
        self.uri == uri
            || matches!((loopback(&self.uri), loopback(uri)), (Some(known), Some(asked)) if known == asked)
    }
}

/// Host and path of an address on this machine, without its port; none for any other address.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let numbered = port.parse::<u16>().is_ok();
    (matches!(host, "localhost" | "127.0.0.1") && numbered).then(|| (host, path.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_fits_with_any_port_and_nothing_else_does() {
        let redirect = |uri: &str| Redirect { uri: uri.to_owned(), platform: Platform::Native };
        let local = redirect("http://localhost");
        for uri in
            ["http://localhost", "http://localhost/", "http://localhost:5000", "http://localhost:5000/"]
        {
            assert!(local.admits(uri), "{uri}");
        }
        for uri in [
            "https://localhost:5000",
            "http://localhost:5000/other",
            "http://127.0.0.1:5000",
            "http://localhost:x",
            "http://localhost.evil.example",
            "http://localhost:80@evil.example",
        ] {
            assert!(!local.admits(uri), "{uri}");
        }
        assert!(redirect("http://127.0.0.1/cb").admits("http://127.0.0.1:7/cb"));
        assert!(!redirect("https://app.example/cb").admits("https://app.example:7/cb"));
        assert!(!redirect("https://app.example/cb").admits("https://app.example/cb/"));
    }
}
