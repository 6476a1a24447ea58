//! The way out: handshakes with and notifications to whoever subscribed.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

/// How long a receiver may take to prove its address.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a receiver may take to accept a notification.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// How often a notification is sent before it is given up.
const MAX_ATTEMPTS: u32 = 5;
/// Wait before the second attempt; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Longest answer to a handshake that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 4_096;

/// Sends to addresses outside.
#[derive(Debug)]
pub(super) struct Outside {
    http: Option<reqwest::Client>,
}

impl Default for Outside {
    fn default() -> Self {
        // Only the first installation in a process succeeds, and any provider will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        // Receivers of tests have certificates of their own making.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build();
        Self { http: http.inspect_err(|error| tracing::error!(%error, "notifications cannot be sent")).ok() }
    }
}

impl Outside {
    /// Asks a receiver to send a token back.
    pub(super) async fn validate(&self, url: &str, token: &str) -> Result<(), String> {
        let failed = |what: &str| format!("Subscription validation request failed. {what}");
        let Some(http) = &self.http else { return Err(failed("Requests cannot be sent.")) };
        let request = http
            .post(url)
            .query(&[("validationToken", token)])
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .timeout(HANDSHAKE_LIMIT);
        let mut answer = request.send().await.map_err(|error| {
            tracing::debug!(%error, "a receiver did not answer the handshake");
            failed("The notification endpoint could not be reached in time.")
        })?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed("The notification endpoint must answer with 200."));
        }
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/plain") {
            return Err(failed("The notification endpoint must answer with text/plain."));
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        if body == token.as_bytes() { Ok(()) } else { Err(failed("The validation token was not sent back.")) }
    }

    /// Sends a notification until it is accepted or given up.
    pub(super) async fn send(&self, url: &str, body: &Value) {
        let Some(http) = &self.http else { return };
        let mut wait = FIRST_BACKOFF;
        for attempt in 1..=MAX_ATTEMPTS {
            let answer = http.post(url).json(body).timeout(ANSWER_LIMIT).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => {
                    tracing::debug!(attempt, status = answer.status().as_u16(), "a notification was refused");
                }
                Err(error) => tracing::debug!(attempt, %error, "a notification did not arrive"),
            }
            if attempt < MAX_ATTEMPTS {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
    }
}
