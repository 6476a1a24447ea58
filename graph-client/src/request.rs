//! The one place that sends. Every request is a GET: there is no way to write to a drive from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE,
};
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tracing::debug;
use url::Url;

use crate::bandwidth::Bandwidth;
use crate::challenge::claims;
use crate::config::{ConfigError, GraphConfig, RetryLimits, Timeouts};
use crate::error::{Answer, ErrorBody, GraphError, MAX_ERROR_BODY_BYTES, classify};
use crate::http;
use crate::randomness::{Randomness, request_id};
use crate::retry::Tries;
use crate::throttle::{Fence, budget_left, retry_after};
use crate::token::{AccessToken, TokenSource};
use crate::window::{Pass, Window};

/// Largest JSON answer that is read. A delta page of 1,000 items has about two million bytes.
pub const MAX_JSON_BYTES: usize = 32 * 1024 * 1024;

/// Tokens that one call gets in place of refused ones.
const MAX_REPLACEMENTS: u32 = 2;

/// Resource units of a download.
const DOWNLOAD_UNITS: u32 = 1;

/// Correlates our logs with those of the service.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const VIRUS_INFECTED: HeaderName = HeaderName::from_static("x-virus-infected");

/// What is asked for. Logs name this, never the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Drive,
    DeltaPage,
    Item,
    Download,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Drive => "drive",
            Self::DeltaPage => "delta_page",
            Self::Item => "item",
            Self::Download => "download",
        }
    }
}

/// Sends requests and repeats them where that helps.
pub(crate) struct Sender {
    http: Client,
    timeouts: Timeouts,
    retries: RetryLimits,
    fence: Fence,
    window: Arc<Window>,
    max_in_flight: u32,
    bandwidth: Option<Arc<Bandwidth>>,
    randomness: Arc<dyn Randomness>,
    sent: Arc<AtomicU64>,
}

impl Sender {
    pub(crate) fn new(config: &GraphConfig, randomness: Arc<dyn Randomness>) -> Result<Self, ConfigError> {
        Ok(Self {
            http: http::client(config)?,
            timeouts: config.timeouts,
            retries: config.retries,
            fence: Fence::default(),
            window: Window::new(config.max_in_flight),
            max_in_flight: config.max_in_flight,
            bandwidth: config.bandwidth.clone(),
            randomness,
            sent: Arc::default(),
        })
    }

    /// The same connections and counts, with limits of its own.
    pub(crate) fn apart(&self) -> Self {
        Self {
            http: self.http.clone(),
            timeouts: self.timeouts,
            retries: self.retries,
            fence: Fence::default(),
            window: Window::new(self.max_in_flight),
            max_in_flight: self.max_in_flight,
            bandwidth: self.bandwidth.clone(),
            randomness: Arc::clone(&self.randomness),
            sent: Arc::clone(&self.sent),
        }
    }

    /// What holds calls back.
    pub(crate) const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Requests that may be under way at once now.
    pub(crate) fn in_flight_limit(&self) -> u32 {
        self.window.limit()
    }

    /// The limit on bytes of downloads.
    pub(crate) const fn bandwidth(&self) -> Option<&Arc<Bandwidth>> {
        self.bandwidth.as_ref()
    }

    /// Requests sent so far, repeated ones included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Longest time between two pieces of a body.
    pub(crate) const fn idle_limit(&self) -> Duration {
        self.timeouts.idle
    }

    /// Gets a JSON document, which costs so many resource units, with a bearer token.
    pub(crate) async fn json<T: DeserializeOwned + Send>(
        &self,
        (operation, units): (Operation, u32),
        url: &Url,
        tokens: &dyn TokenSource,
    ) -> Result<T, GraphError> {
        let mut tries = Tries::start(operation, &self.retries, &self.fence, self.randomness.as_ref());
        let mut replacement: Option<Arc<AccessToken>> = None;
        let mut replaced = 0;
        loop {
            tries.pass_fence().await?;
            let pass = self.window.enter().await;
            tries.take_turn(units).await?;
            let token = match replacement.take() {
                Some(token) => token,
                None => tokens.token().await?,
            };
            match self.json_once(operation, url, &token).await {
                Ok(document) => {
                    self.window.grow();
                    return Ok(document);
                }
                // The first replacement may be one that another call got, and that is refused by now as well. A fresh token that is
                // refused will not get better.
                Err(Failure::TokenRefused { claims, .. }) if replaced < MAX_REPLACEMENTS => {
                    replaced += 1;
                    drop(pass);
                    replacement = Some(tokens.rejected(&token, claims).await?);
                }
                Err(Failure::TokenRefused { error, .. } | Failure::Other(error)) => {
                    drop(pass);
                    self.cut(&error);
                    tries.pause(error).await?;
                }
            }
        }
    }

    /// Opens a pre-authenticated address. No bearer token goes there, ever: this takes none.
    pub(crate) async fn open(
        &self,
        url: &Url,
        range: Option<&HeaderValue>,
    ) -> Result<(Response, Pass), GraphError> {
        let mut tries =
            Tries::start(Operation::Download, &self.retries, &self.fence, self.randomness.as_ref());
        loop {
            tries.pass_fence().await?;
            let pass = self.window.enter().await;
            tries.take_turn(DOWNLOAD_UNITS).await?;
            match self.open_once(url, range).await {
                Ok(response) => {
                    self.window.grow();
                    return Ok((response, pass));
                }
                Err(error) => {
                    drop(pass);
                    self.cut(&error);
                    tries.pause(error).await?;
                }
            }
        }
    }

    fn cut(&self, error: &GraphError) {
        if matches!(error, GraphError::Throttled { .. }) {
            self.window.halve(Instant::now());
        }
    }

    async fn json_once<T: DeserializeOwned>(
        &self,
        operation: Operation,
        url: &Url,
        token: &AccessToken,
    ) -> Result<T, Failure> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_error| GraphError::UnusableToken)?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.send(operation, url, headers).await?;
        if response.status() != StatusCode::OK {
            let claims = claims(response.headers());
            let error = self.refusal(operation, response).await;
            let token_refused = matches!(error, GraphError::Unauthorized { .. });
            return Err(if token_refused {
                Failure::TokenRefused { claims, error }
            } else {
                Failure::Other(error)
            });
        }
        if !is_json(response.headers()) {
            return Err(GraphError::NotJson { status: response.status().as_u16() }.into());
        }
        let body = self.read_document(response).await?;
        let document = serde_json::from_slice(&body);
        // The parser's message may quote the document.
        Ok(document.map_err(|_error| GraphError::Malformed { what: "JSON of an unexpected shape" })?)
    }

    async fn open_once(&self, url: &Url, range: Option<&HeaderValue>) -> Result<Response, GraphError> {
        let mut headers = HeaderMap::new();
        // Without it some hosts answer a range with 416.
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // Ranges and hashes are those of the bytes themselves.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(range) = range {
            headers.insert(RANGE, range.clone());
        }
        let response = self.send(Operation::Download, url, headers).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            _ => Err(self.refusal(Operation::Download, response).await),
        }
    }

    /// Sends one request and waits for the headers of the answer.
    async fn send(
        &self,
        operation: Operation,
        url: &Url,
        mut headers: HeaderMap,
    ) -> Result<Response, GraphError> {
        let client_request_id = request_id(self.randomness.as_ref());
        if let Ok(id) = HeaderValue::from_str(&client_request_id) {
            headers.insert(CLIENT_REQUEST_ID, id);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let limit = self.timeouts.header;
        let sending = self.http.get(url.clone()).headers(headers).send();
        let response = timeout(limit, sending)
            .await
            .map_err(|_elapsed| GraphError::Timeout { what: "answer", limit })?
            .map_err(GraphError::connection)?;
        if let Some(left) = budget_left(response.headers()) {
            self.fence.slow_down(Instant::now(), left);
        }
        debug!(
            operation = operation.name(),
            status = response.status().as_u16(),
            elapsed_ms = started.elapsed().as_millis(),
            client_request_id,
            request_id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()),
            "answer from Graph"
        );
        Ok(response)
    }

    /// What an answer that is no success means.
    async fn refusal(&self, operation: Operation, response: Response) -> GraphError {
        let headers = response.headers();
        let infected =
            headers.get(VIRUS_INFECTED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        let (status, retry_after) = (response.status().as_u16(), retry_after(headers));
        let body = self.read_error(response).await;
        let answer = Answer { operation, status, retry_after, infected, body };
        classify(answer, self.retries.throttle_default)
    }

    /// The error document, as far as it comes: the status alone is enough.
    async fn read_error(&self, mut response: Response) -> ErrorBody {
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(piece)) = response.chunk().await {
                body.extend_from_slice(&piece);
                if body.len() > MAX_ERROR_BODY_BYTES {
                    break;
                }
            }
        };
        if timeout(self.timeouts.idle, reading).await.is_err() {
            debug!("the document of an error did not come");
        }
        ErrorBody::parse(&body)
    }

    /// A whole JSON body, bounded in size and time.
    async fn read_document(&self, mut response: Response) -> Result<Vec<u8>, GraphError> {
        let mut body = Vec::new();
        let limit = self.timeouts.document;
        let reading = async {
            while let Some(piece) = self.next_piece(&mut response).await? {
                if body.len() + piece.len() > MAX_JSON_BYTES {
                    return Err(GraphError::TooLarge { limit: MAX_JSON_BYTES });
                }
                body.extend_from_slice(&piece);
            }
            Ok(())
        };
        timeout(limit, reading)
            .await
            .map_err(|_elapsed| GraphError::Timeout { what: "whole answer", limit })??;
        Ok(body)
    }

    async fn next_piece(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, GraphError> {
        next_piece(response, self.timeouts.idle).await
    }
}

/// The next piece of a body, if it comes within `limit`.
pub(crate) async fn next_piece(
    response: &mut Response,
    limit: Duration,
) -> Result<Option<bytes::Bytes>, GraphError> {
    timeout(limit, response.chunk())
        .await
        .map_err(|_elapsed| GraphError::Timeout { what: "further content", limit })?
        .map_err(GraphError::connection)
}

/// Why one try failed.
enum Failure {
    /// 401: another token may help.
    TokenRefused {
        claims: Option<String>,
        error: GraphError,
    },
    Other(GraphError),
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Self::Other(error)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
