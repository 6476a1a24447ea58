//! Reads the file that names the endpoints.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use service_kit::{
    resource_name::ResourceId,
    secret::{SecretFileError, SecretString},
};
use url::{Host, Url};

use super::signature::{SigningSecrets, SigningSecretsError};

/// Most endpoints.
const MAX_ENDPOINTS: usize = 16;
/// Most bytes of the file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Somebody who is told of every state change.
pub struct WebhookEndpoint {
    /// Names the endpoint in the database and in logs. Under a new id it is told of changes from then on only.
    pub id: ResourceId,
    /// Where requests go. It may hold a secret of its own, so it is not logged.
    pub(super) url: Url,
    /// What signs them.
    pub(super) secrets: SigningSecrets,
}

impl fmt::Debug for WebhookEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEndpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why the endpoints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookConfigError {
    /// The file cannot be read.
    #[error("cannot read the webhook file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not of its form. The text may hold addresses, so nothing of it is shown.
    #[error("webhook file {} is not of the form [[endpoints]] with id, url and secret_file{}", path.display(), line_of(*line))]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
    },
    /// None, or too many.
    #[error("webhook file {} must name 1 to {MAX_ENDPOINTS} endpoints", .0.display())]
    Count(PathBuf),
    /// An id breaks its grammar.
    #[error("webhook endpoint {0}: its id must be 1 to 63 lower-case letters, digits and inner hyphens")]
    Id(usize),
    /// Two endpoints have the same id.
    #[error("webhook endpoint {0} is named twice")]
    Twice(ResourceId),
    /// The address is not one that may be told.
    #[error(
        "webhook endpoint {0}: its url must be https (http only on a loopback address), without user or fragment"
    )]
    Address(ResourceId),
    /// The secret cannot be read.
    #[error("webhook endpoint {id}")]
    SecretFile {
        /// Which endpoint.
        id: ResourceId,
        /// Why.
        #[source]
        source: SecretFileError,
    },
    /// The secret is not usable.
    #[error("webhook endpoint {id}: its secret file {source}")]
    Secret {
        /// Which endpoint.
        id: ResourceId,
        /// Why.
        source: SigningSecretsError,
    },
}

fn line_of(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    endpoints: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    url: String,
    secret_file: PathBuf,
}

/// Reads the endpoints and their secrets. A secret file's path is relative to the folder of `path`.
pub fn read_endpoints(path: &Path) -> Result<Vec<WebhookEndpoint>, WebhookConfigError> {
    let failed = |source| WebhookConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    if u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(WebhookConfigError::Count(path.to_owned()));
    }
    let document: Document = toml::from_str(&text).map_err(|error| WebhookConfigError::Form {
        path: path.to_owned(),
        line: error
            .span()
            .map(|span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1),
    })?;
    if document.endpoints.is_empty() || document.endpoints.len() > MAX_ENDPOINTS {
        return Err(WebhookConfigError::Count(path.to_owned()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut endpoints: Vec<WebhookEndpoint> = Vec::new();
    for (index, row) in document.endpoints.into_iter().enumerate() {
        let Ok(id) = ResourceId::parse(&row.id) else { return Err(WebhookConfigError::Id(index + 1)) };
        if endpoints.iter().any(|known| known.id == id) {
            return Err(WebhookConfigError::Twice(id));
        }
        let Some(url) = usable_address(&row.url) else { return Err(WebhookConfigError::Address(id)) };
        let text = SecretString::read_file(&folder.join(&row.secret_file))
            .map_err(|source| WebhookConfigError::SecretFile { id: id.clone(), source })?;
        let secrets = SigningSecrets::parse(&text)
            .map_err(|source| WebhookConfigError::Secret { id: id.clone(), source })?;
        endpoints.push(WebhookEndpoint { id, url, secrets });
    }
    Ok(endpoints)
}

fn usable_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_loopback = match url.host()? {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (is_safe && is_plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use service_kit::error_chain::ErrorChain;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(document: &str) -> Result<Vec<WebhookEndpoint>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        fs::write(folder.path().join("plain"), "hunter2hunter2").unwrap();
        let path = folder.path().join("webhooks.toml");
        fs::write(&path, document).unwrap();
        read_endpoints(&path).map_err(|error| ErrorChain(&error).to_string())
    }

    fn endpoint(id: &str, url: &str, secret: &str) -> String {
        format!("[[endpoints]]\nid = \"{id}\"\nurl = \"{url}\"\nsecret_file = \"{secret}\"\n")
    }

    #[test]
    fn endpoints_are_read_with_their_secrets() {
        let both = endpoint("a", "https://a.example/hook?key=1", "secret")
            + &endpoint("b", "http://127.0.0.1:1/", "secret");
        let endpoints = read(&both).unwrap();
        let ids: Vec<_> = endpoints.iter().map(|endpoint| endpoint.id.to_string()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(!format!("{endpoints:?}").contains("key=1"));
    }

    #[test]
    fn each_rule_has_its_refusal_and_none_shows_a_secret() {
        let good = endpoint("a", "https://a.example/", "secret");
        let many: String =
            (0..=MAX_ENDPOINTS).map(|n| endpoint(&format!("e{n}"), "https://a.example/", "secret")).collect();
        let cases = [
            ("endpoints = []".to_owned(), "must name 1 to 16"),
            (many, "must name 1 to 16"),
            ("[[endpoints]]\nid = \"a\"\ntoken = \"hunter2\"\n".to_owned(), "not of the form"),
            (endpoint("A", "https://a.example/", "secret"), "endpoint 1: its id"),
            (good.clone() + &good, "named twice"),
            (endpoint("a", "http://a.example/hunter2", "secret"), "must be https"),
            (endpoint("a", "https://u:hunter2@a.example/", "secret"), "must be https"),
            (endpoint("a", "https://a.example/", "missing"), "missing"),
            (endpoint("a", "https://a.example/", "plain"), "whsec_"),
        ];
        for (document, expected) in cases {
            let error = read(&document).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
