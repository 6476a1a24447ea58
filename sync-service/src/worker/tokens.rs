//! Access tokens of one connection, from token-service.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use graph_client::{AccessToken, TokenError, TokenSource};
use proto::token::v1::{
    self as pb, connection_service_client::ConnectionServiceClient, token_service_client::TokenServiceClient,
};
use service_kit::{
    clock::{Clock, Timestamp, duration_to_proto},
    status::{status_reason, status_retry_after},
};
use tokio::sync::Mutex;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

/// A token is asked for anew when it has less than this left.
const MIN_TTL: Duration = Duration::from_mins(2);

/// Longest time a call may take: a refresh at the provider included.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a call is tried while the service is away.
const MAX_TRIES: u32 = 5;

/// First pause before a call is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The token service.
#[derive(Clone)]
pub(super) struct TokenService {
    client: TokenServiceClient<Channel>,
    connections: ConnectionServiceClient<Channel>,
}

impl TokenService {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let channel = endpoint.connect_lazy();
        Self {
            client: TokenServiceClient::new(channel.clone()),
            connections: ConnectionServiceClient::new(channel),
        }
    }

    /// Names whose calls share the provider's limits with those of a connection: its application in its directory, or the
    /// connection alone where that cannot be learned.
    pub(super) async fn budget(&self, connection: &str) -> String {
        let mut request = tonic::Request::new(pb::GetConnectionRequest { name: connection.to_owned() });
        request.set_timeout(CALL_TIMEOUT);
        let known = self.connections.clone().get_connection(request).await.ok();
        let known = known.and_then(|answer| answer.into_inner().connection);
        match known.and_then(|known| Some((known.client_id, known.account?.directory_id))) {
            Some((application, directory)) if !directory.is_empty() => format!("{application}/{directory}"),
            _ => connection.to_owned(),
        }
    }

    /// The tokens of a connection.
    pub(super) fn connection(&self, connection: String, clock: Arc<dyn Clock>) -> ConnectionTokens {
        ConnectionTokens { client: self.client.clone(), connection, clock, held: Mutex::default() }
    }
}

/// The tokens of a connection; keeps the one it has until it nears its end.
pub(super) struct ConnectionTokens {
    client: TokenServiceClient<Channel>,
    connection: String,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

/// What the calls of a run share.
#[derive(Default)]
struct Held {
    token: Option<Arc<AccessToken>>,
    /// The claims challenge that the token was made for.
    claims: Option<String>,
}

impl ConnectionTokens {
    async fn fetch(&self, request: pb::GetAccessTokenRequest) -> Result<Arc<AccessToken>, TokenError> {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let mut call = tonic::Request::new(request.clone());
            call.set_timeout(CALL_TIMEOUT);
            match self.client.clone().get_access_token(call).await {
                Ok(response) => return Ok(Arc::new(self.read(response.into_inner()))),
                Err(status) if status.code() == Code::Unavailable && tries < MAX_TRIES => {
                    let wait = status_retry_after(&status).unwrap_or_default().clamp(pause, CALL_TIMEOUT);
                    tokio::time::sleep(wait).await;
                    pause *= 2;
                }
                Err(status) => return Err(token_error(&status)),
            }
        }
        Err(token_error(&Status::unavailable("token-service is away")))
    }

    fn read(&self, response: pb::GetAccessTokenResponse) -> AccessToken {
        let expires = response.expire_time.as_ref().and_then(Timestamp::from_proto);
        // A token without an end is used for as long as one call may take, and no longer.
        let expires = expires.unwrap_or_else(|| self.clock.now().saturating_add(CALL_TIMEOUT));
        AccessToken::new(response.access_token, expires.as_millis())
    }

    fn request(&self) -> pb::GetAccessTokenRequest {
        pb::GetAccessTokenRequest {
            connection: self.connection.clone(),
            min_ttl: Some(duration_to_proto(MIN_TTL)),
            ..Default::default()
        }
    }
}

#[async_trait]
impl TokenSource for ConnectionTokens {
    async fn token(&self) -> Result<Arc<AccessToken>, TokenError> {
        let mut held = self.held.lock().await;
        let soon = self.clock.now().saturating_add(MIN_TTL).as_millis();
        if let Some(token) = held.token.as_ref().filter(|token| token.expires_unix_ms() > soon) {
            return Ok(Arc::clone(token));
        }
        let token = self.fetch(self.request()).await?;
        *held = Held { token: Some(Arc::clone(&token)), claims: None };
        Ok(token)
    }

    async fn rejected(
        &self,
        token: &AccessToken,
        claims: Option<String>,
    ) -> Result<Arc<AccessToken>, TokenError> {
        let mut held = self.held.lock().await;
        let rejected = token.sha256();
        // Another call may have got a new one meanwhile, for the same challenge if there is one.
        if let Some(newer) = held.token.as_ref().filter(|held| held.sha256() != rejected)
            && (claims.is_none() || claims == held.claims)
        {
            return Ok(Arc::clone(newer));
        }
        // Whatever happens now, no other call is to be given the one that was refused.
        held.token = held.token.take().filter(|held| held.sha256() != rejected);
        let request = pb::GetAccessTokenRequest {
            claims: claims.clone().unwrap_or_default(),
            rejected_token_sha256: rejected.to_vec(),
            ..self.request()
        };
        let token = self.fetch(request).await?;
        *held = Held { token: Some(Arc::clone(&token)), claims };
        Ok(token)
    }
}

fn token_error(status: &Status) -> TokenError {
    let needs_person = matches!(
        status.code(),
        Code::FailedPrecondition | Code::NotFound | Code::PermissionDenied | Code::Unauthenticated
    );
    TokenError {
        needs_person,
        reason: status_reason(status).unwrap_or_else(|| "TOKEN_SERVICE_UNAVAILABLE".to_owned()),
        message: status.message().to_owned(),
        retry_after: status_retry_after(status),
    }
}
