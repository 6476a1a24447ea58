//! Microsoft Entra's v2 endpoints.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Map, Value, json};
use service_kit::secret::{SecretFileError, SecretString};
use url::{Host, Url};

use super::{
    ClientSecret, DeviceGrant, IdentityProvider, ProviderError, Refusal, TokenGrant, answer,
    classify::classify, client_secret::CurrentSecret, transport, transport::Answer,
};
use crate::domain::scopes::ScopeSet;

/// What connections of this provider are called.
const PROVIDER_ID: &str = "microsoft";
/// Without it an answer holds no refresh token.
const OFFLINE_ACCESS: &str = "offline_access";
/// Wait before a refresh that failed for a passing reason is tried once more.
const TRANSIENT_RETRY_DELAY: Duration = Duration::from_millis(250);
/// Most characters of a directory.
const MAX_DIRECTORY_CHARS: usize = 253;
/// Most characters of a client id; Entra's have 36.
const MAX_CLIENT_ID_CHARS: usize = 255;

/// How to reach Entra and as which app.
pub struct EntraConfig {
    /// Client id of the app registration.
    pub client_id: String,
    /// Its secret, for a confidential client.
    pub client_secret: Option<ClientSecret>,
    /// Base address, for example `https://login.microsoftonline.com/`.
    pub authority: Url,
    /// Directory: a GUID, a domain, `common`, `organizations` or `consumers`.
    pub directory: String,
}

/// Why the provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EntraConfigError {
    /// The authority is not an address that secrets may be sent to.
    #[error(
        "authority {0} is not usable: it must be https (http only on a loopback address), without user, query or fragment"
    )]
    Authority(String),
    /// The directory breaks its grammar.
    #[error(
        "directory is not usable: it must be a GUID, a domain name, `common`, `organizations` or `consumers`"
    )]
    Directory,
    /// The client id breaks its grammar.
    #[error("client id is not usable: it must be 1 to {MAX_CLIENT_ID_CHARS} visible ASCII characters")]
    ClientId,
    /// The client secret is empty.
    #[error("client secret is empty")]
    ClientSecret,
    /// The client secret cannot be read.
    #[error(transparent)]
    ClientSecretFile(#[from] SecretFileError),
    /// The HTTP client cannot be built, for example for want of root certificates.
    #[error("the HTTP client cannot be set up")]
    HttpClient(#[source] reqwest::Error),
}

/// Entra over HTTP.
pub struct Entra {
    client: Client,
    token_endpoint: Url,
    device_endpoint: Url,
    client_id: String,
    client_secret: Option<CurrentSecret>,
}

impl Entra {
    /// Checks the configuration and builds the client; asks nothing yet.
    pub fn new(config: EntraConfig) -> Result<Self, EntraConfigError> {
        let authority = check_authority(config.authority)?;
        let directory = &config.directory;
        let is_directory = (1..=MAX_DIRECTORY_CHARS).contains(&directory.len())
            && directory.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
            && !directory.starts_with('.');
        if !is_directory {
            return Err(EntraConfigError::Directory);
        }
        let is_client_id = (1..=MAX_CLIENT_ID_CHARS).contains(&config.client_id.len())
            && config.client_id.bytes().all(|b| b.is_ascii_graphic());
        if !is_client_id {
            return Err(EntraConfigError::ClientId);
        }
        let client_secret = config.client_secret.map(CurrentSecret::new).transpose()?;
        if client_secret.as_ref().is_some_and(|secret| secret.get().expose().is_empty()) {
            return Err(EntraConfigError::ClientSecret);
        }
        let endpoint = |name: &str| {
            let mut url = authority.clone();
            let base = authority.path().trim_end_matches('/');
            url.set_path(&format!("{base}/{directory}/oauth2/v2.0/{name}"));
            url
        };
        Ok(Self {
            client: transport::build_client().map_err(EntraConfigError::HttpClient)?,
            token_endpoint: endpoint("token"),
            device_endpoint: endpoint("devicecode"),
            client_id: config.client_id,
            client_secret,
        })
    }

    /// Posts a form with the client's own fields. A client secret that is refused is read again, and the form posted once more if there
    /// is another one by now: the provider looks at nothing else before it knows the client.
    async fn post_token(&self, form: &[(&str, &str)]) -> Result<TokenGrant, ProviderError> {
        let secret = self.client_secret.as_ref().map(CurrentSecret::get);
        let answer = self.post_token_as(form, secret.as_deref()).await;
        let is_refused = matches!(answer, Err(ProviderError::Refused(Refusal::AppMisconfigured { .. })));
        let newer = self.client_secret.as_ref().zip(secret.as_deref()).filter(|_| is_refused);
        match newer.and_then(|(current, refused)| current.after_refusal(refused)) {
            Some(newer) => self.post_token_as(form, Some(&newer)).await,
            None => answer,
        }
    }

    async fn post_token_as(
        &self,
        form: &[(&str, &str)],
        secret: Option<&SecretString>,
    ) -> Result<TokenGrant, ProviderError> {
        let mut form = form.to_vec();
        form.push(("client_id", &self.client_id));
        form.extend(secret.map(|secret| ("client_secret", secret.expose())));
        let answer = transport::post_form(&self.client, &self.token_endpoint, &form).await?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        answer::token_grant(&answer, &self.client_id).ok_or_else(|| unreadable(&answer))
    }
}

#[async_trait]
impl IdentityProvider for Entra {
    fn id(&self) -> &str {
        PROVIDER_ID
    }

    fn client_id(&self) -> &str {
        &self.client_id
    }

    async fn start_device(
        &self,
        scopes: &ScopeSet,
        claims: Option<&str>,
    ) -> Result<DeviceGrant, ProviderError> {
        let scope = scopes.with(OFFLINE_ACCESS).to_string();
        let claims = with_client_capability(claims);
        let form = [("client_id", self.client_id.as_str()), ("scope", &scope), ("claims", claims.as_str())];
        let answer = transport::post_form(&self.client, &self.device_endpoint, &form).await?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        answer::device_grant(&answer).ok_or_else(|| unreadable(&answer))
    }

    async fn poll_device(
        &self,
        device_code: &SecretString,
        claims: Option<&str>,
    ) -> Result<TokenGrant, ProviderError> {
        let claims = with_client_capability(claims);
        let form = [
            ("claims", claims.as_str()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code.expose()),
        ];
        self.post_token(&form).await
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        scopes: &ScopeSet,
        claims: Option<&str>,
    ) -> Result<TokenGrant, ProviderError> {
        let scope = scopes.with(OFFLINE_ACCESS).to_string();
        let claims = with_client_capability(claims);
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
            ("scope", &scope),
            ("claims", claims.as_str()),
        ];
        match self.post_token(&form).await {
            // Answered, so not lost: the provider says that it did nothing and names no time to wait.
            Err(error) if is_worth_one_retry(&error) => {
                tracing::info!(provider.cause = %error, "the identity provider failed in passing, asking once more");
                tokio::time::sleep(TRANSIENT_RETRY_DELAY).await;
                self.post_token(&form).await
            }
            other => other,
        }
    }
}

/// The claims of every request: those of a challenge, if any, and the client capability `cp1`. Tokens asked for like this live
/// longer and can be revoked at once, because their holder is sent challenges instead of bare refusals.
fn with_client_capability(claims: Option<&str>) -> String {
    let parsed: Option<Map<String, Value>> = claims.and_then(|claims| serde_json::from_str(claims).ok());
    let mut merged = match (parsed, claims) {
        (Some(parsed), _) => parsed,
        // What cannot be read is for the provider to refuse.
        (None, Some(claims)) => return claims.to_owned(),
        (None, None) => Map::new(),
    };
    let access_token = merged.entry("access_token").or_insert_with(|| json!({}));
    if access_token.is_null() {
        *access_token = json!({});
    }
    if let Some(members) = access_token.as_object_mut() {
        members.insert("xms_cc".to_owned(), json!({ "values": ["cp1"] }));
    }
    Value::Object(merged).to_string()
}

/// A gateway's 502 or 504 stands for an answer that got lost behind it; the other passing failures are the provider's own word.
fn is_worth_one_retry(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Refused(Refusal::Transient { retry_after: None, .. }))
}

fn refused(answer: &Answer) -> ProviderError {
    match answer.status {
        502 | 504 => ProviderError::OutcomeUnknown(format!("HTTP {}", answer.status)),
        _ => ProviderError::Refused(classify(&answer::error_answer(answer))),
    }
}

fn unreadable(answer: &Answer) -> ProviderError {
    ProviderError::OutcomeUnknown(format!("HTTP {} without a usable body", answer.status))
}

fn check_authority(authority: Url) -> Result<Url, EntraConfigError> {
    let is_loopback = match authority.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let is_safe = authority.scheme() == "https" || (authority.scheme() == "http" && is_loopback);
    let is_plain = authority.username().is_empty()
        && authority.password().is_none()
        && authority.query().is_none()
        && authority.fragment().is_none();
    if is_safe && is_plain {
        return Ok(authority);
    }
    // What is shown must not hold a password that somebody put into the address.
    let shown = format!("{}://{}", authority.scheme(), authority.host_str().unwrap_or_default());
    Err(EntraConfigError::Authority(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(authority: &str) -> EntraConfig {
        EntraConfig {
            client_id: "app".to_owned(),
            client_secret: None,
            authority: Url::parse(authority).unwrap(),
            directory: "common".to_owned(),
        }
    }

    #[test]
    fn secrets_go_over_tls_or_stay_on_this_machine() {
        for good in
            ["https://login.example/", "http://127.0.0.1:1/", "http://[::1]:1", "http://localhost:1/base/"]
        {
            assert!(Entra::new(config(good)).is_ok(), "{good}");
        }
        for bad in
            ["http://login.example/", "ftp://127.0.0.1/", "https://u:pw@login.example/", "https://x/?q=1"]
        {
            let error = Entra::new(config(bad)).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains("https") && !error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn endpoints_are_below_the_authority_and_the_directory() {
        let entra = Entra::new(config("http://localhost:1/base/")).unwrap();
        assert_eq!(entra.token_endpoint.as_str(), "http://localhost:1/base/common/oauth2/v2.0/token");
        let bad = EntraConfig { directory: "../x".to_owned(), ..config("http://localhost:1/") };
        assert!(matches!(Entra::new(bad), Err(EntraConfigError::Directory)));
    }

    #[test]
    fn a_challenge_keeps_its_claims_and_gains_the_capability() {
        let merged =
            with_client_capability(Some(r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#));
        let value: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(value["access_token"]["nbf"]["value"], "1");
        assert_eq!(value["access_token"]["xms_cc"]["values"][0], "cp1");
        assert_eq!(with_client_capability(Some("not json")), "not json");
        let alone = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
        assert_eq!(with_client_capability(None), alone);
        assert_eq!(with_client_capability(Some(r#"{"access_token":null}"#)), alone);
    }
}
