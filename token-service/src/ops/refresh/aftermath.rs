//! What a refresh leaves behind for the next one, whichever replica that runs in.

use service_kit::{clock::Timestamp, error_chain::ErrorChain};

use super::turn::Ours;
use crate::{
    domain::refresh_lease::{Aftermath, Pause, PauseReason},
    ops::{Context, OpError, cooldowns::Reason, get_access_token::FlightKey},
    provider::{ProviderError, Refusal},
};

/// Cause of a refresh whose request was sent and whose answer is lost.
const ANSWER_LOST: &str = "answer lost";
/// Cause of a refresh whose request was never sent.
const NO_CONNECTION: &str = "no connection";

/// What an answer says about answers that were lost before it.
pub(super) enum Remains {
    /// The provider spoke about this refresh token: what became of it is known.
    Settled,
    /// It spoke about something else.
    Unsettled,
}

/// Whether a refusal settles what became of earlier requests.
pub(super) fn of_refusal(refusal: &Refusal) -> Remains {
    match refusal {
        Refusal::NeedsReauth { .. } | Refusal::Blocked { .. } => Remains::Settled,
        Refusal::Transient { .. }
        | Refusal::Throttled { .. }
        | Refusal::AppMisconfigured { .. }
        | Refusal::CallerFault { .. }
        | Refusal::DevicePending
        | Refusal::DeviceSlowDown
        | Refusal::DeviceDeclined
        | Refusal::DeviceExpired
        | Refusal::CodeRefused { .. } => Remains::Unsettled,
    }
}

impl Remains {
    /// What is left behind when the refusal led to `error`.
    pub(super) fn after(&self, context: &Context, ours: &Ours, error: Option<&OpError>) -> Aftermath {
        match self {
            Self::Settled => Aftermath::default(),
            Self::Unsettled => ours.unsettled(error.and_then(|error| pause(context, error))),
        }
    }
}

impl Ours {
    /// What was not known before is not known now.
    pub(super) fn unsettled(&self, pause: Option<Pause>) -> Aftermath {
        Aftermath { losses: self.lease.losses, loss_time: self.loss_time, pause }
    }

    /// One more answer is lost.
    pub(super) fn lost(&self, now: Timestamp, pause: Option<Pause>) -> Aftermath {
        Aftermath { losses: self.lease.losses.saturating_add(1), loss_time: Some(now), pause }
    }
}

/// No answer came. Either nothing was sent, or it is not known what became of it: then the refresh token at hand is kept, and the
/// next refresh, after a pause, finds out by asking once.
pub(super) async fn no_answer(
    context: &Context,
    key: &FlightKey,
    ours: &Ours,
    error: &ProviderError,
) -> OpError {
    let is_lost = matches!(error, ProviderError::OutcomeUnknown(_));
    tracing::warn!(
        connection.name = %key.connection,
        error = %ErrorChain(error),
        refresh.losses = ours.lease.losses,
        "a refresh brought no answer; the refresh token at hand is kept"
    );
    let now = context.now();
    let cause = if is_lost { ANSWER_LOST } else { NO_CONNECTION };
    context.app_health.record_failure(&key.connection, cause, now);
    let failure = context.cooldowns.record(&key.connection, now, Reason::Unavailable, cause.to_owned());
    let pause = pause(context, &failure);
    let aftermath = if is_lost { ours.lost(now, pause) } else { ours.unsettled(pause) };
    give_back(context, key, ours, aftermath).await;
    failure
}

fn pause(context: &Context, error: &OpError) -> Option<Pause> {
    let (OpError::ProviderUnavailable { cause, retry_after }
    | OpError::ProviderThrottled { cause, retry_after }) = error
    else {
        return None;
    };
    let is_throttle = matches!(error, OpError::ProviderThrottled { .. });
    let reason = if is_throttle { PauseReason::Throttled } else { PauseReason::Unavailable };
    Some(Pause { until: context.now().saturating_add(*retry_after), reason, cause: cause.clone() })
}

/// Gives the lease back where nothing was to be stored. Should that fail, the lease expires, and whoever takes it then assumes
/// the worst.
pub(super) async fn give_back(context: &Context, key: &FlightKey, ours: &Ours, aftermath: Aftermath) {
    let released = async {
        let transaction = context.store.begin_write().await?;
        transaction.release_lease(&key.connection, &context.replica, &ours.lease, &aftermath).await?;
        transaction.commit().await
    };
    if let Err(error) = released.await {
        tracing::warn!(
            connection.name = %key.connection,
            error = %ErrorChain(&error),
            "the lease of a refresh could not be given back; it expires"
        );
    }
}
