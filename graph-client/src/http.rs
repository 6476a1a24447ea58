//! The HTTP client underneath: TLS, proxies, no redirects, no retries of its own.

use std::sync::Once;

use reqwest::Client;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use tracing::debug;

use crate::config::{ConfigError, GraphConfig};

pub(crate) fn client(config: &GraphConfig) -> Result<Client, ConfigError> {
    let agent = HeaderValue::from_str(&config.user_agent).map_err(|_error| ConfigError::UserAgent)?;
    install_crypto_provider();
    let mut builder = Client::builder()
        .user_agent(agent)
        .connect_timeout(config.timeouts.connect)
        // A redirect of a call with a token could carry the token elsewhere.
        .redirect(Policy::none())
        // Retries are this crate's own.
        .retry(reqwest::retry::never());
    if config.base.scheme() == "http" {
        // Plain HTTP stays on this machine: no proxy, and no certificates to load.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(ConfigError::Http)
}

/// TLS needs a process-wide provider of cryptography. One that is installed already is as good.
fn install_crypto_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            debug!("a TLS crypto provider was installed already");
        }
    });
}
