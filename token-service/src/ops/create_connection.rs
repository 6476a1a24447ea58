//! Takes over a refresh token that was obtained elsewhere, once one refresh has proven it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use service_kit::{error_chain::ErrorChain, resource_name::ResourceId, secret::SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    Context, Health, OpError, RefreshOutcome,
    connection_requests::app_health_of,
    first_request::first_request_error,
    sign_in::{NewConnection, SignIn, insert_connection, new_connection},
};
use crate::{
    domain::{connection::Connection, names::ConnectionName, scopes::ScopeSet},
    provider::{Fault, ProviderError, Refusal},
    store::StoreError,
};

/// A refresh token to take over.
pub struct ImportRequest {
    /// Name of the new connection.
    pub connection: ConnectionName,
    /// Text for people.
    pub display_name: String,
    /// Scopes; empty means the service's default scopes.
    pub scopes: ScopeSet,
    /// The token.
    pub refresh_token: SecretString,
}

/// Makes the connection. Detached from the caller: from the exchange on, only what is stored is worth anything.
pub async fn import_refresh_token(
    context: &Arc<Context>,
    request: ImportRequest,
) -> Result<(Connection, Health), OpError> {
    let work = {
        let context = Arc::clone(context);
        async move { import(&context, request).await }
    };
    let connection = context.detached("refresh token import", work).await?;
    let app = app_health_of(context, &connection);
    Ok((connection, Health { app, outcome: RefreshOutcome::Known }))
}

async fn import(context: &Context, request: ImportRequest) -> Result<Connection, OpError> {
    let name = request.connection.clone();
    let _turn = context.refresh_queue.turn(&name).await;
    refuse_existing(context, &name).await?;
    // Neither may two replicas exchange a token each for one name, nor anybody the same token twice.
    let owner = ResourceId::new_random("").to_string();
    let token = STANDARD.encode(Sha256::digest(request.refresh_token.expose().as_bytes()));
    let subjects = [format!("name {name}"), format!("token {token}")];
    let length = context.refresh_times.lease_length();
    let _pass = context.directory_budgets.enter(None).await?;
    let deadline = Instant::now() + context.refresh_times.provider_timeout;
    if !context.store.claim_imports(&subjects, &owner, length).await? {
        return Err(OpError::Busy);
    }
    let imported = async {
        refuse_existing(context, &name).await?;
        exchange(context, &name, request, deadline).await
    };
    let imported = imported.await;
    if let Err(error) = context.store.release_imports(&owner).await {
        tracing::info!(error = %ErrorChain(&error), "the lease of an import could not be given back; it expires");
    }
    imported
}

async fn refuse_existing(context: &Context, name: &ConnectionName) -> Result<(), OpError> {
    match context.store.get_connection(name).await {
        Ok(_) => Err(OpError::ConnectionExists(name.clone())),
        Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn exchange(
    context: &Context,
    name: &ConnectionName,
    request: ImportRequest,
    deadline: Instant,
) -> Result<Connection, OpError> {
    let are_callers_scopes = !request.scopes.is_empty();
    let scopes = if are_callers_scopes { request.scopes } else { context.default_scopes.clone() };
    let time = context.now();
    let asked = context.provider.refresh(&request.refresh_token, &scopes, None);
    let answer = tokio::time::timeout_at(deadline, asked).await;
    let mut grant = answer
        .unwrap_or_else(|_late| Err(ProviderError::OutcomeUnknown("time-out".to_owned())))
        .map_err(|error| {
            if let ProviderError::Refused(Refusal::AppMisconfigured { cause }) = &error {
                context.app_health.record_refused(cause, time);
            }
            first_request_error(error, are_callers_scopes, import_error)
        })?;
    context.app_health.record_success(name, time);
    let refresh_token = grant.refresh_token.take().unwrap_or(request.refresh_token);
    let parts = NewConnection { name, display_name: &request.display_name, scopes: &scopes };
    let sign_in = SignIn { refresh_token, grant, time };
    let (stored, token) = new_connection(context, &parts, &sign_in).await?;
    insert_connection(context, &stored, &token).await?;
    tracing::info!(connection.name = %stored.connection.name, "connection made from an imported refresh token");
    Ok(stored.connection)
}

/// What a refusal says about an import, where it is none of those that mean the same for whoever asks.
fn import_error(refusal: &Refusal) -> OpError {
    let cause = refusal.cause().to_owned();
    let is_set_up = matches!(
        refusal,
        Refusal::AppMisconfigured { .. } | Refusal::CallerFault { fault: Fault::Scopes, .. }
    );
    // The token is the one part of the request that did not come from the configuration.
    if is_set_up { OpError::ProviderMisconfigured { cause } } else { OpError::RefreshTokenRefused { cause } }
}
