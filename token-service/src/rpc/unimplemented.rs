//! Services whose behaviour a later version brings.

use proto::token::v1::{
    GetRotationRequest, GetRotationResponse, ListAuditEventsRequest, ListAuditEventsResponse,
    ListKeysRequest, ListKeysResponse, RotateKeyRequest, RotateKeyResponse, VerifyAuditLogRequest,
    VerifyAuditLogResponse, audit_service_server::AuditService, key_service_server::KeyService,
};
use service_kit::status::ApiError;
use tonic::{Request, Response, Status, async_trait};

/// Answers `UNIMPLEMENTED` to everything.
#[derive(Clone, Copy)]
pub(super) struct Unimplemented;

#[async_trait]
impl KeyService for Unimplemented {
    async fn list_keys(
        &self,
        _request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Err(ApiError::unimplemented("ListKeys").into())
    }

    async fn rotate_key(
        &self,
        _request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        Err(ApiError::unimplemented("RotateKey").into())
    }

    async fn get_rotation(
        &self,
        _request: Request<GetRotationRequest>,
    ) -> Result<Response<GetRotationResponse>, Status> {
        Err(ApiError::unimplemented("GetRotation").into())
    }
}

#[async_trait]
impl AuditService for Unimplemented {
    async fn list_audit_events(
        &self,
        _request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        Err(ApiError::unimplemented("ListAuditEvents").into())
    }

    async fn verify_audit_log(
        &self,
        _request: Request<VerifyAuditLogRequest>,
    ) -> Result<Response<VerifyAuditLogResponse>, Status> {
        Err(ApiError::unimplemented("VerifyAuditLog").into())
    }
}
