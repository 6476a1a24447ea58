//! Follows the state changes of connections: through breaks, restarts of either side, and a resume token that is too old.

use std::time::Duration;

use proto::token::v1::{
    Connection, ConnectionState, ListConnectionsRequest, WatchConnectionsRequest, WatchConnectionsResponse,
    connection_service_client::ConnectionServiceClient,
};
use service_kit::status::status_reason;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{
    domain::names::ConnectionName,
    ops::{
        Ctx, OpError,
        connections::{self, Told},
    },
};

/// First pause after a break; it doubles with each further one in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause after a break: a repaired connection is noticed about that soon.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long it has to answer.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections on one page of a list.
const PAGE_SIZE: i32 = 500;
/// Longest time a page of a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Reason of a resume token whose changes are not kept any more.
const RESUME_TOKEN_EXPIRED: &str = "RESUME_TOKEN_EXPIRED";

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum Break {
    #[error("token-service: {}", .0.message())]
    Service(#[from] Box<Status>),
    #[error(transparent)]
    Store(#[from] OpError),
    #[error("token-service ended the watch")]
    Ended,
}

impl From<Status> for Break {
    fn from(status: Status) -> Self {
        Self::Service(Box::new(status))
    }
}

/// Follows until `shutdown`.
pub async fn follow(ctx: Ctx, token_service: Endpoint, shutdown: CancellationToken) {
    let channel = token_service
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy();
    let mut watch = Watch { ctx, client: ConnectionServiceClient::new(channel), pause: FIRST_PAUSE };
    loop {
        let broke = tokio::select! {
            broke = watch.until_break() => broke,
            () = shutdown.cancelled() => return,
        };
        if watch.pause == FIRST_PAUSE {
            tracing::info!(error = %broke, "connections are not followed; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(watch.pause) => {}
            () = shutdown.cancelled() => return,
        }
        watch.pause = (watch.pause * 2).min(MAX_PAUSE);
    }
}

struct Watch {
    ctx: Ctx,
    client: ConnectionServiceClient<Channel>,
    pause: Duration,
}

impl Watch {
    async fn until_break(&mut self) -> Break {
        match self.read().await {
            Ok(()) => Break::Ended,
            Err(broke) => broke,
        }
    }

    async fn read(&mut self) -> Result<(), Break> {
        let resume_token = connections::resume_token(&self.ctx).await?;
        let mut stream = match self.open(resume_token).await {
            Err(status) if status_reason(&status).as_deref() == Some(RESUME_TOKEN_EXPIRED) => {
                tracing::warn!("changes of connections were missed: all of them are looked at");
                self.open(String::new()).await?
            }
            opened => opened?,
        };
        while let Some(message) = stream.message().await? {
            self.pause = FIRST_PAUSE;
            self.take(message).await?;
        }
        Ok(())
    }

    async fn open(&self, resume_token: String) -> Result<Streaming<WatchConnectionsResponse>, Status> {
        let request = WatchConnectionsRequest { parent: String::new(), resume_token };
        Ok(self.client.clone().watch_connections(request).await?.into_inner())
    }

    /// A message without a connection begins a watch that resumes nothing: whoever lists after it and then reads on misses nothing.
    async fn take(&self, message: WatchConnectionsResponse) -> Result<(), Break> {
        let resume_token = Some(message.resume_token.as_str());
        match message.connection {
            None => {
                self.list().await?;
                connections::told(&self.ctx, &[], resume_token).await?;
            }
            Some(connection) => {
                let told: Vec<Told> = told(&connection, message.deleted).into_iter().collect();
                connections::told(&self.ctx, &told, resume_token).await?;
            }
        }
        Ok(())
    }

    async fn list(&self) -> Result<(), Break> {
        let mut page_token = String::new();
        loop {
            let message = ListConnectionsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
            let mut request = tonic::Request::new(message);
            request.set_timeout(LIST_TIMEOUT);
            let page = self.client.clone().list_connections(request).await?.into_inner();
            let found: Vec<Told> =
                page.connections.iter().filter_map(|connection| told(connection, false)).collect();
            connections::told(&self.ctx, &found, None).await?;
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }
}

/// What a message means; `None` for a name or a state that this version does not know.
fn told(connection: &Connection, deleted: bool) -> Option<Told> {
    let usable = match connection.state() {
        _ if deleted => None,
        ConnectionState::Active => Some(true),
        ConnectionState::NeedsReauth | ConnectionState::Blocked | ConnectionState::Revoked => Some(false),
        ConnectionState::Unspecified => return None,
    };
    Some(Told { name: ConnectionName::parse(&connection.name).ok()?, usable })
}
