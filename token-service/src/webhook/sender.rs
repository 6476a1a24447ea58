//! Sends one message to one endpoint.

use std::time::Duration;

use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::WebhookEndpoint;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the status of an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// `webhook-id`: the same each time it is sent, so that a receiver knows what it has.
    pub id: String,
    /// `webhook-timestamp`: seconds since the Unix epoch, when this attempt is made.
    pub timestamp: i64,
    /// JSON.
    pub body: String,
}

/// Why a message counts as not delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendFailure {
    /// What happened, without the address: `HTTP 500`, `time-out`, `no connection`.
    pub reason: String,
    /// How long the endpoint asks to wait (`Retry-After` in seconds).
    pub retry_after: Option<Duration>,
    /// Whether it refused this very message, and may well take others.
    pub is_about_message: bool,
}

/// The HTTP client cannot be built, for example for want of root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for webhooks cannot be set up")]
pub struct SenderError(#[source] reqwest::Error);

/// Sends messages.
pub struct Sender(Client);

impl Sender {
    /// Builds the client. It follows no redirects: a message goes to the address that was configured and nowhere else.
    pub fn new() -> Result<Self, SenderError> {
        service_kit::tls::install_crypto_provider();
        let client = Client::builder()
            .user_agent(concat!("sluice-token-service/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build();
        client.map(Self).map_err(SenderError)
    }

    /// Sends a message once. Any 2xx is a delivery; the body of the answer is not read.
    pub async fn send(&self, endpoint: &WebhookEndpoint, message: &Message) -> Result<(), SendFailure> {
        let timestamp = message.timestamp.to_string();
        let signature = endpoint.secrets.sign(&message.id, &timestamp, message.body.as_bytes());
        let request = self
            .0
            .post(endpoint.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        let failure = |reason: &str| SendFailure {
            reason: reason.to_owned(),
            retry_after: None,
            is_about_message: false,
        };
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                failure("time-out")
            } else if error.is_connect() {
                failure("no connection")
            } else {
                failure("the connection broke")
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let asked =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(SendFailure {
            reason: format!("HTTP {}", status.as_u16()),
            retry_after: asked.map(Duration::from_secs),
            is_about_message: status.is_client_error()
                && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS),
        })
    }
}
