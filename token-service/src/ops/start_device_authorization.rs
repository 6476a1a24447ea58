//! Starts a device authorization: asks the provider for codes, stores them sealed, and only then shows them.

use std::{sync::Arc, time::Duration};

use service_kit::{resource_name::ResourceId, secret::SecretString};

use super::{Context, OpError, first_request::first_request_error};
use crate::{
    domain::{
        authorization::{Authorization, AuthorizationState, StoredAuthorization},
        names::{AuthorizationName, ConnectionName},
        poll_schedule::first_interval,
        scopes::ScopeSet,
    },
    provider::DeviceGrant,
    store::StoreError,
};

/// Most authorizations that wait at once.
const MAX_PENDING: u64 = 1000;
/// Which connection to make or mend.
#[derive(Clone, Debug)]
pub struct StartDeviceRequest {
    /// The connection.
    pub connection: ConnectionName,
    /// Text for people, for a new connection.
    pub display_name: String,
    /// Scopes; empty means the service's default scopes.
    pub scopes: ScopeSet,
}

/// What to show the person.
#[derive(Debug)]
pub struct StartedDevice {
    /// The authorization, pending.
    pub authorization: Authorization,
    /// The code to type.
    pub user_code: SecretString,
    /// Where to type it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<SecretString>,
    /// The provider's own sentence.
    pub message: Option<SecretString>,
    /// How long the code is good.
    pub lifetime: Duration,
}

/// Starts a device authorization.
pub async fn start_device_authorization(
    context: &Arc<Context>,
    request: StartDeviceRequest,
) -> Result<StartedDevice, OpError> {
    if context.store.count_pending_authorizations().await? >= MAX_PENDING {
        return Err(OpError::TooManyAuthorizations);
    }
    let are_callers_scopes = !request.scopes.is_empty();
    let scopes = if are_callers_scopes { request.scopes.clone() } else { context.default_scopes.clone() };
    let claims = context.store.find_sign_in_claims(&request.connection).await?;
    // Who will sign in, and in which directory, nobody knows yet.
    let pass = context.directory_budgets.enter(None).await?;
    let grant = context.provider.start_device(&scopes, claims.as_deref()).await;
    drop(pass);
    let grant = grant.map_err(|error| {
        first_request_error(error, are_callers_scopes, |refusal| {
            // Nobody signed in yet: whatever else is refused, it is the app's set-up.
            context.app_health.record_refused(refusal.cause(), context.now());
            OpError::ProviderMisconfigured { cause: refusal.cause().to_owned() }
        })
    })?;
    context.app_health.record_accepted();

    let authorization = pending(context, request, scopes, &grant);
    let codes = context.custody.seal_codes(&authorization.name, &grant.device_code, &grant.user_code).await?;
    let stored = StoredAuthorization { authorization, codes: Some(codes) };
    let inserted = async {
        let transaction = context.store.begin_write().await?;
        if transaction.count_pending_authorizations().await? >= MAX_PENDING {
            return Ok(false);
        }
        transaction.insert_authorization(&stored).await?;
        transaction.commit().await?;
        Ok::<_, StoreError>(true)
    };
    if !inserted.await? {
        return Err(OpError::TooManyAuthorizations);
    }
    context.poll_wakeup.notify_one();
    let authorization = stored.authorization;
    tracing::info!(
        authorization.name = %authorization.name,
        connection.name = %authorization.connection,
        "device authorization started"
    );
    Ok(StartedDevice {
        authorization,
        user_code: grant.user_code,
        verification_uri: grant.verification_uri,
        verification_uri_complete: grant.verification_uri_complete,
        message: grant.message,
        lifetime: grant.lifetime,
    })
}

fn pending(
    context: &Context,
    request: StartDeviceRequest,
    scopes: ScopeSet,
    grant: &DeviceGrant,
) -> Authorization {
    let now = context.now();
    let poll_interval = first_interval(grant.interval);
    let tenant = request.connection.tenant().clone();
    Authorization {
        name: AuthorizationName::new(tenant, ResourceId::new_random("device")),
        connection: request.connection,
        display_name: request.display_name,
        scopes,
        state: AuthorizationState::Pending,
        create_time: now,
        expire_time: now.saturating_add(grant.lifetime),
        next_poll_time: now.saturating_add(poll_interval),
        poll_interval,
        generation: 1,
    }
}
