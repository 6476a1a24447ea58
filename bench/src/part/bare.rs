//! The baseline: a tonic server as its makers' example has it, which returns one and the same answer. No limits, no spans, no
//! deadline, no look at the request.

use std::{fs, net::Ipv4Addr, path::Path};

use proto::token::v1::{
    GetAccessTokenRequest, GetAccessTokenResponse,
    token_service_server::{TokenService, TokenServiceServer},
};
use service_kit::{exit::Exit, lifecycle::Lifecycle, process::Failure};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

struct Bare(GetAccessTokenResponse);

#[async_trait]
impl TokenService for Bare {
    async fn get_access_token(
        &self,
        _request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

/// Serves the answer whose token and scopes stand in a file, line by line.
pub(crate) async fn serve(answer: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failure, error);
    let text = fs::read_to_string(answer).map_err(failed)?;
    let mut lines = text.lines().map(str::to_owned);
    let answer = GetAccessTokenResponse {
        access_token: lines.next().unwrap_or_default(),
        token_type: lines.next().unwrap_or_default(),
        expire_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 123_000_000 }),
        scopes: lines.collect(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let lifecycle = Lifecycle::new();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stopped = lifecycle.shutdown_token();
    lifecycle.spawn("bare server", async move {
        let server = Server::builder().add_service(TokenServiceServer::new(Bare(answer)));
        drop(server.serve_with_incoming_shutdown(incoming, stopped.cancelled()).await);
    });
    super::announce(address, &lifecycle, |_order| ())?;
    Ok(super::until_told(&lifecycle).await)
}
