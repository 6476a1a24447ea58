//! The gRPC face: each method parses its request, calls one use case and builds the answer; one file per method. What this
//! version does not have answers `UNIMPLEMENTED`.

mod authorization_message;
mod connection_message;
mod create_connection;
mod delete_connection;
mod get_access_token;
mod get_authorization;
mod get_connection;
mod list_connections;
mod list_webhook_deliveries;
mod refresh_connection;
mod request_fields;
mod start_device_authorization;
mod status;
mod unimplemented;
mod watch_authorization;
mod watch_connections;

use std::sync::Arc;

use proto::token::v1::{
    CompleteCodeAuthorizationRequest, CompleteCodeAuthorizationResponse, CreateConnectionRequest,
    CreateConnectionResponse, DeleteConnectionRequest, DeleteConnectionResponse, GetAccessTokenRequest,
    GetAccessTokenResponse, GetAuthorizationRequest, GetAuthorizationResponse, GetConnectionRequest,
    GetConnectionResponse, ListConnectionsRequest, ListConnectionsResponse, ListWebhookDeliveriesRequest,
    ListWebhookDeliveriesResponse, RefreshConnectionRequest, RefreshConnectionResponse,
    StartCodeAuthorizationRequest, StartCodeAuthorizationResponse, StartDeviceAuthorizationRequest,
    StartDeviceAuthorizationResponse, WatchAuthorizationRequest, WatchAuthorizationResponse,
    WatchConnectionsRequest, WatchConnectionsResponse,
    audit_service_server::AuditServiceServer,
    authorization_service_server::{AuthorizationService, AuthorizationServiceServer},
    connection_service_server::{ConnectionService, ConnectionServiceServer},
    key_service_server::KeyServiceServer,
    token_service_server::{TokenService, TokenServiceServer},
    webhook_service_server::{WebhookService, WebhookServiceServer},
};
use service_kit::{
    server::{GrpcServer, Streamed},
    status::ApiError,
};
use tonic::{Request, Response, Status, async_trait, server::NamedService as _};

use crate::ops::{Context, OpError};

/// Every service of `sluice.token.v1`.
#[derive(Clone)]
struct Rpc {
    context: Arc<Context>,
}

/// Adds every service of `sluice.token.v1` to a server.
pub fn register(server: GrpcServer, context: Arc<Context>) -> GrpcServer {
    // Tokens in memory are served while the database is down: only `TokenService` can say that of itself.
    let need_database = [
        ConnectionServiceServer::<Rpc>::NAME,
        AuthorizationServiceServer::<Rpc>::NAME,
        WebhookServiceServer::<Rpc>::NAME,
        KeyServiceServer::<unimplemented::Unimplemented>::NAME,
        AuditServiceServer::<unimplemented::Unimplemented>::NAME,
    ];
    let server = server.serving_while(context.database_state(), &need_database);
    let rpc = Rpc { context };
    server
        .reflection(proto::FILE_DESCRIPTOR_SET)
        .add(TokenServiceServer::new(rpc.clone()))
        .add(ConnectionServiceServer::new(rpc.clone()))
        .add(AuthorizationServiceServer::new(rpc.clone()))
        .add(WebhookServiceServer::new(rpc))
        .add(KeyServiceServer::new(unimplemented::Unimplemented))
        .add(AuditServiceServer::new(unimplemented::Unimplemented))
}

impl Rpc {
    /// Answers a request that nothing can be done about without the database: at once, where that does not answer.
    async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, ApiError>> + Send,
    ) -> Result<Response<T>, Status> {
        tokio::select! {
            biased;
            () = self.context.database_down() => Err(status::api_error(&OpError::DatabaseDown).into()),
            result = work => answer(result),
        }
    }
}

fn answer<T>(result: Result<T, ApiError>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

#[async_trait]
impl TokenService for Rpc {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        answer(get_access_token::handle(&self.context, request.into_inner()).await)
    }
}

#[async_trait]
impl ConnectionService for Rpc {
    type WatchConnectionsStream = Streamed<WatchConnectionsResponse>;

    async fn create_connection(
        &self,
        request: Request<CreateConnectionRequest>,
    ) -> Result<Response<CreateConnectionResponse>, Status> {
        self.answer(create_connection::handle(&self.context, request.into_inner())).await
    }

    async fn get_connection(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        self.answer(get_connection::handle(&self.context, &request.into_inner())).await
    }

    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        self.answer(list_connections::handle(&self.context, &request.into_inner())).await
    }

    async fn delete_connection(
        &self,
        request: Request<DeleteConnectionRequest>,
    ) -> Result<Response<DeleteConnectionResponse>, Status> {
        self.answer(delete_connection::handle(&self.context, &request.into_inner())).await
    }

    async fn refresh_connection(
        &self,
        request: Request<RefreshConnectionRequest>,
    ) -> Result<Response<RefreshConnectionResponse>, Status> {
        self.answer(refresh_connection::handle(&self.context, &request.into_inner())).await
    }

    async fn watch_connections(
        &self,
        request: Request<WatchConnectionsRequest>,
    ) -> Result<Response<Self::WatchConnectionsStream>, Status> {
        self.answer(watch_connections::handle(&self.context, &request.into_inner())).await
    }
}

#[async_trait]
impl AuthorizationService for Rpc {
    type WatchAuthorizationStream = Streamed<WatchAuthorizationResponse>;

    async fn start_device_authorization(
        &self,
        request: Request<StartDeviceAuthorizationRequest>,
    ) -> Result<Response<StartDeviceAuthorizationResponse>, Status> {
        self.answer(start_device_authorization::handle(&self.context, request.into_inner())).await
    }

    async fn start_code_authorization(
        &self,
        _request: Request<StartCodeAuthorizationRequest>,
    ) -> Result<Response<StartCodeAuthorizationResponse>, Status> {
        Err(ApiError::unimplemented("StartCodeAuthorization").into())
    }

    async fn complete_code_authorization(
        &self,
        _request: Request<CompleteCodeAuthorizationRequest>,
    ) -> Result<Response<CompleteCodeAuthorizationResponse>, Status> {
        Err(ApiError::unimplemented("CompleteCodeAuthorization").into())
    }

    async fn get_authorization(
        &self,
        request: Request<GetAuthorizationRequest>,
    ) -> Result<Response<GetAuthorizationResponse>, Status> {
        self.answer(get_authorization::handle(&self.context, &request.into_inner())).await
    }

    async fn watch_authorization(
        &self,
        request: Request<WatchAuthorizationRequest>,
    ) -> Result<Response<Self::WatchAuthorizationStream>, Status> {
        self.answer(watch_authorization::handle(&self.context, &request.into_inner())).await
    }
}

#[async_trait]
impl WebhookService for Rpc {
    async fn list_webhook_deliveries(
        &self,
        request: Request<ListWebhookDeliveriesRequest>,
    ) -> Result<Response<ListWebhookDeliveriesResponse>, Status> {
        self.answer(list_webhook_deliveries::handle(&self.context, &request.into_inner())).await
    }
}
