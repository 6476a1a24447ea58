//! What a refusal means for a connection: mostly nothing.

use service_kit::{clock::Timestamp, error_chain::ErrorChain};

use super::{Round, has_same_credential, turn::Ours};
use crate::{
    domain::{
        connection::{Connection, ConnectionState, StoredConnection},
        refresh_lease::Aftermath,
    },
    ops::{
        Context, OpError,
        cooldowns::Reason,
        error::RefusedPart,
        get_access_token::{FlightKey, find_connection},
    },
    provider::{Binds, Fault, Reach, Refusal},
    store::{RowVersion, StoreError},
};

/// Added to the cause of a refusal that follows a lost answer: the provider may have replaced the refresh token in that answer.
const AFTER_LOSS: &str = "after an answer was lost";

/// Acts on a refusal.
pub(super) async fn refused(
    context: &Context,
    key: &FlightKey,
    ours: &Ours,
    refusal: Refusal,
) -> Result<Round, OpError> {
    let stored = &ours.stored;
    let name = &key.connection;
    let now = context.now();
    let cool = |reason, cause| Err(context.cooldowns.record(name, now, reason, cause));
    if let Refusal::Transient { cause, .. } = &refusal {
        context.app_health.record_failure(name, cause, now);
    }
    if let Refusal::Throttled { cause, retry_after, binds: Binds::Directory } = &refusal {
        raise_fence(context, &stored.connection, now.saturating_add(*retry_after), cause).await;
    }
    match refusal {
        Refusal::Transient { cause, retry_after: None } => cool(Reason::Unavailable, cause),
        Refusal::Transient { cause, retry_after: Some(wait) }
        | Refusal::Throttled { cause, retry_after: wait, .. } => cool(Reason::Throttled(wait), cause),
        Refusal::AppMisconfigured { cause } => {
            context.app_health.record_refused(&cause, now);
            cool(Reason::Misconfigured, cause)
        }
        Refusal::NeedsReauth { cause, reach: Reach::Unexplained, .. }
            if ours.lease.losses == 0 && !context.suspicions.is_confirmed(name) =>
        {
            context.app_health.record_failure(name, &cause, now);
            cool(Reason::Unavailable, cause)
        }
        Refusal::NeedsReauth { cause, reach, claims } => {
            let cause = if ours.lease.losses > 0 { format!("{cause}, {AFTER_LOSS}") } else { cause };
            let state = ConnectionState::NeedsReauth { cause };
            permanently_refused(context, key, ours, state, Refused { reach, claims }).await
        }
        Refusal::Blocked { cause, reach } => {
            let state = ConnectionState::Blocked { cause };
            permanently_refused(context, key, ours, state, Refused { reach, claims: None }).await
        }
        Refusal::CallerFault { cause, fault } => Err(caller_fault(key, stored, cause, fault)),
        // Answers that only a sign-in gets: here they make no sense, so they prove nothing.
        other @ (Refusal::DevicePending
        | Refusal::DeviceSlowDown
        | Refusal::DeviceDeclined
        | Refusal::DeviceExpired
        | Refusal::CodeRefused { .. }) => cool(Reason::Unavailable, other.cause().to_owned()),
    }
}

/// A permanent refusal changes the connection only if it is about the connection, and only if the refused token is still the
/// one that is stored: otherwise somebody else rotated it, and theirs is adopted.
async fn permanently_refused(
    context: &Context,
    key: &FlightKey,
    ours: &Ours,
    state: ConnectionState,
    refusal: Refused,
) -> Result<Round, OpError> {
    context.app_health.record_accepted();
    let stored = &ours.stored;
    let connection = &stored.connection;
    let current = find_connection(context, &key.connection).await?;
    if !has_same_credential(&current, stored) {
        return Ok(Round::Overtaken);
    }
    let now = context.now();
    let is_own_request = key.claims.is_none() && key.scopes == connection.scopes;
    if refusal.reach == Reach::Request && !is_own_request {
        keep_claims(context, key, &refusal).await;
        return Err(refusal.error(key, state, now));
    }
    let current = current.connection;
    let since = if current.state.kind() == state.kind() { current.state_time } else { now };
    let changed = async {
        let transaction = context.store.begin_write().await?;
        transaction.set_connection_state(RowVersion::from(&current), &state, since).await?;
        if let Some(claims) = &refusal.claims {
            transaction.keep_sign_in_claims(&key.connection, claims).await?;
        }
        // Nobody refreshes such a connection again: what is known now must not be left to a later transaction.
        transaction
            .release_lease(&key.connection, &context.replica, &ours.lease, &Aftermath::default())
            .await?;
        if current.state != state {
            transaction.record_state(&current, &state, since, now).await?;
        }
        transaction.commit().await
    };
    match changed.await {
        Ok(()) => {
            context.changes.wake();
            tracing::warn!(
                connection.name = %connection.name,
                connection.state = ?state.kind(),
                provider.cause = state.cause(),
                "the identity provider refuses the connection for good"
            );
            Err(refusal.error(key, state, since))
        }
        Err(StoreError::Conflict) => Ok(Round::Overtaken),
        Err(error) => Err(error.into()),
    }
}

/// Leaves the directory alone, here at once and in the other replicas as soon as they would ask.
async fn raise_fence(context: &Context, connection: &Connection, until: Timestamp, cause: &str) {
    context.directory_fences.raise(connection, until, cause);
    let Some(account) = &connection.account else { return };
    let subject = (connection.client_id.as_str(), account.directory_id.as_str());
    if let Err(error) = context.store.raise_directory_fence(subject, (until, cause), context.now()).await {
        tracing::warn!(error = %ErrorChain(&error), "the other replicas were not told of a throttle");
    }
}

/// Keeps what the next sign-in must answer, also where the connection itself goes on working.
async fn keep_claims(context: &Context, key: &FlightKey, refusal: &Refused) {
    let Some(claims) = &refusal.claims else { return };
    let kept = async {
        let transaction = context.store.begin_write().await?;
        transaction.keep_sign_in_claims(&key.connection, claims).await?;
        transaction.commit().await
    };
    if let Err(error) = kept.await {
        tracing::warn!(
            connection.name = %key.connection,
            error = %ErrorChain(&error),
            "what the next sign-in must answer could not be kept; the caller was told"
        );
    }
}

/// The rest of a permanent refusal.
struct Refused {
    reach: Reach,
    claims: Option<String>,
}

impl Refused {
    fn error(self, key: &FlightKey, state: ConnectionState, since: Timestamp) -> OpError {
        let connection = key.connection.clone();
        match state {
            ConnectionState::Blocked { cause } => OpError::Blocked { connection, cause, since },
            ConnectionState::NeedsReauth { cause } => {
                OpError::NeedsReauth { connection, cause, since, claims: self.claims }
            }
            ConnectionState::Active | ConnectionState::Revoked => OpError::Busy,
        }
    }
}

/// Scopes and claims are the caller's fault only where the caller sent them.
fn caller_fault(key: &FlightKey, stored: &StoredConnection, cause: String, fault: Fault) -> OpError {
    match fault {
        Fault::Scopes if key.scopes != stored.connection.scopes => {
            OpError::RequestRefused { part: RefusedPart::Scopes, cause }
        }
        Fault::Form if key.claims.is_some() => OpError::RequestRefused { part: RefusedPart::Claims, cause },
        Fault::Scopes | Fault::Form => OpError::ProviderMisconfigured { cause },
    }
}
