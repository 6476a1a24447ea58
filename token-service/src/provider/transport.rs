//! Sends one form to the provider and reads the answer, within bounds.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

use super::{MAX_RETRY_AFTER, ProviderError};

/// Most bytes of an answer that are read.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Idle connections are closed before the provider does it: a request must not meet a connection that is just going away.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Waits before each repetition of a request that could not be sent.
const UNSENT_RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// An answer as it came.
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// `Retry-After` in seconds; the date form counts as absent, no identity provider is known to send it.
    pub(super) retry_after: Option<Duration>,
    /// The body; it may hold tokens.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// Whether the status says success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Builds the client. No redirects: a form with a refresh token goes to the address that was configured and nowhere else.
pub(super) fn build_client() -> Result<Client, reqwest::Error> {
    service_kit::tls::install_crypto_provider();
    Client::builder()
        .user_agent(concat!("sluice-token-service/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .build()
}

/// Posts a form. What could not be sent is sent again; what was sent is not.
pub(super) async fn post_form(
    client: &Client,
    url: &Url,
    form: &[(&str, &str)],
) -> Result<Answer, ProviderError> {
    for delay in UNSENT_RETRY_DELAYS {
        match post_once(client, url, form).await {
            Err(ProviderError::Unreachable(_)) => tokio::time::sleep(delay).await,
            other => return other,
        }
    }
    post_once(client, url, form).await
}

async fn post_once(client: &Client, url: &Url, form: &[(&str, &str)]) -> Result<Answer, ProviderError> {
    let sent = client.post(url.clone()).header("accept", "application/json").form(form).send().await;
    let response = sent.map_err(|error| {
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            ProviderError::Unreachable(error)
        } else if error.is_timeout() {
            ProviderError::OutcomeUnknown("time-out".to_owned())
        } else {
            ProviderError::OutcomeUnknown("the connection broke".to_owned())
        }
    })?;
    let status = response.status();
    let retry_after = retry_after(&response);
    let body = read_body(response, status).await?;
    Ok(Answer { status: status.as_u16(), retry_after, body })
}

async fn read_body(mut response: Response, status: StatusCode) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY_BYTES => break,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => break,
        }
    }
    // An error status says enough without its body; of a success only the body says what happened.
    if status.is_success() {
        return Err(ProviderError::OutcomeUnknown("the body was cut short or too long".to_owned()));
    }
    Ok(Zeroizing::new(Vec::new()))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
