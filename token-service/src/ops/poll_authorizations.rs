//! Polls the provider for every pending device authorization (RFC 8628 §3.4), whoever started it and whenever: the rows say
//! what is due, so a restart changes nothing. A poll is claimed by compare-and-set before it is sent, so two replicas never
//! poll for the same authorization at once.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use service_kit::{clock::Timestamp, error_chain::ErrorChain};

use super::{
    Context, OpError,
    sign_in::{Settled, SignIn, mismatch, settle},
    store_surely::store_surely,
};
use crate::{
    domain::{
        authorization::{
            Authorization, AuthorizationState, NO_REFRESH_TOKEN, StoredAuthorization, UNREADABLE,
        },
        poll_schedule::{PollAnswer, next_poll},
    },
    provider::{ProviderError, Refusal, TokenGrant},
    store::{Poll, StoreError},
};

/// Most polls under way at once.
const MAX_POLLS: usize = 32;
/// A claim lasts longer than any poll; should its owner die, somebody else polls after this.
const CLAIM: Duration = Duration::from_mins(1);
/// Longest pause while authorizations are pending: the wall clock may be set.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Pause while none is pending. One that this process starts wakes the poller; this is for those of other replicas.
const IDLE_PAUSE: Duration = Duration::from_secs(2);
/// Shortest pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Pause after the database failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// How long ended authorizations are kept.
const KEEP_ENDED: Duration = Duration::from_hours(24);
/// How often ended authorizations are cleared away.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How often a sign-in is settled anew because the connection changed meanwhile.
const MAX_SETTLE_ROUNDS: usize = 5;

/// Polls until the service stops; polls under way then are brought to their end.
pub async fn run(context: Arc<Context>) {
    let shutdown = context.lifecycle.shutdown_token();
    let mut polls = FuturesUnordered::new();
    let mut last_sweep = None;
    while !shutdown.is_cancelled() {
        let pause = match claim_due(&context, MAX_POLLS.saturating_sub(polls.len())).await {
            Ok((claimed, pause)) => {
                polls.extend(claimed.into_iter().map(|claimed| poll(&context, claimed)));
                pause
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "pending authorizations cannot be read, trying again");
                FAILURE_PAUSE
            }
        };
        sweep(&context, &mut last_sweep).await;
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(()) = polls.next(), if !polls.is_empty() => {}
            () = context.poll_wakeup.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while polls.next().await.is_some() {}
}

/// Claims what is due, and says how long to pause afterwards.
async fn claim_due(
    context: &Context,
    room: usize,
) -> Result<(Vec<StoredAuthorization>, Duration), StoreError> {
    let now = context.now();
    let room = u64::try_from(room).unwrap_or(0);
    let mut claimed = Vec::new();
    if room > 0 {
        for mut due in context.store.list_due_authorizations(now, room).await? {
            let interval = due.authorization.poll_interval;
            let claim = Poll { next_poll_time: now.saturating_add(CLAIM), interval };
            match context.store.set_next_poll(&due.authorization, claim).await {
                Ok(generation) => {
                    due.authorization.generation = generation;
                    claimed.push(due);
                }
                // Another replica was faster.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let pause = match context.store.next_poll_time().await? {
        Some(next) => next.duration_since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        None => IDLE_PAUSE,
    };
    Ok((claimed, pause))
}

/// Clears away what ended long ago.
async fn sweep(context: &Context, last_sweep: &mut Option<Timestamp>) {
    let now = context.now();
    if last_sweep.is_some_and(|last| now.duration_since(last) < SWEEP_EVERY) {
        return;
    }
    *last_sweep = Some(now);
    match context.store.delete_ended_authorizations(now.saturating_sub(KEEP_ENDED)).await {
        Ok(0) => {}
        Ok(count) => {
            tracing::debug!(authorization.count = count, "cleared away authorizations that ended a day ago");
        }
        Err(error) => {
            tracing::warn!(error = %ErrorChain(&error), "ended authorizations cannot be cleared away");
        }
    }
}

/// Polls once and stores what came of it.
async fn poll(context: &Context, claimed: StoredAuthorization) {
    let authorization = &claimed.authorization;
    let result = match ask(context, &claimed).await {
        Next::Poll(answer) => reschedule(context, authorization, answer).await,
        Next::End(state) => end(context, authorization, &state).await,
        Next::Settle(sign_in) => settle_surely(context, authorization, &sign_in).await,
    };
    match result {
        Ok(()) | Err(OpError::Store(StoreError::Conflict)) => {}
        Err(error) => tracing::warn!(
            authorization.name = %authorization.name,
            error = %ErrorChain(&error),
            "a poll's result could not be stored; the authorization is polled again"
        ),
    }
}

/// What a poll leads to.
enum Next {
    Poll(PollAnswer),
    End(AuthorizationState),
    Settle(SignIn),
}

async fn ask(context: &Context, claimed: &StoredAuthorization) -> Next {
    let authorization = &claimed.authorization;
    let time = context.now();
    if time >= authorization.expire_time {
        return Next::End(AuthorizationState::Expired);
    }
    let failed = |cause: &str| Next::End(AuthorizationState::Failed { cause: cause.to_owned() });
    let Some(codes) = &claimed.codes else { return failed(UNREADABLE) };
    let device_code = match context.custody.open_device_code(&authorization.name, codes).await {
        Ok(device_code) => device_code,
        Err(error) => {
            tracing::error!(
                authorization.name = %authorization.name,
                error = %ErrorChain(&error),
                "the device code of an authorization does not open"
            );
            return failed(UNREADABLE);
        }
    };
    let claims = match context.store.find_sign_in_claims(&authorization.connection).await {
        Ok(claims) => claims,
        Err(error) => {
            tracing::warn!(
                authorization.name = %authorization.name,
                error = %ErrorChain(&error),
                "a poll waits for the database"
            );
            return Next::Poll(PollAnswer::Failed);
        }
    };
    // Who signs in, and in which directory, is known afterwards only.
    let Ok(pass) = context.directory_budgets.enter(None).await else { return Next::Poll(PollAnswer::Failed) };
    let answer = context.provider.poll_device(&device_code, claims.as_deref()).await;
    drop(pass);
    match answer {
        Ok(grant) => {
            context.app_health.record_accepted();
            signed_in(grant, time)
        }
        Err(ProviderError::Refused(refusal)) => {
            if let Refusal::AppMisconfigured { cause } = &refusal {
                context.app_health.record_refused(cause, context.now());
            }
            after_refusal(&refusal)
        }
        Err(error @ (ProviderError::Unreachable(_) | ProviderError::OutcomeUnknown(_))) => {
            tracing::info!(
                authorization.name = %authorization.name,
                error = %ErrorChain(&error),
                "a poll brought no answer"
            );
            Next::Poll(PollAnswer::Failed)
        }
    }
}

fn signed_in(mut grant: TokenGrant, time: Timestamp) -> Next {
    match grant.refresh_token.take() {
        Some(refresh_token) => Next::Settle(SignIn { refresh_token, grant, time }),
        None => Next::End(AuthorizationState::Failed { cause: NO_REFRESH_TOKEN.to_owned() }),
    }
}

fn after_refusal(refusal: &Refusal) -> Next {
    match refusal {
        Refusal::DevicePending => Next::Poll(PollAnswer::Pending),
        Refusal::DeviceSlowDown => Next::Poll(PollAnswer::SlowDown),
        Refusal::Transient { retry_after: None, .. } => Next::Poll(PollAnswer::Failed),
        Refusal::Transient { retry_after: Some(wait), .. } | Refusal::Throttled { retry_after: wait, .. } => {
            Next::Poll(PollAnswer::Throttled(*wait))
        }
        Refusal::DeviceDeclined => Next::End(AuthorizationState::Declined),
        Refusal::DeviceExpired => Next::End(AuthorizationState::Expired),
        Refusal::NeedsReauth { cause, .. }
        | Refusal::Blocked { cause, .. }
        | Refusal::AppMisconfigured { cause }
        | Refusal::CallerFault { cause, .. }
        | Refusal::CodeRefused { cause } => Next::End(AuthorizationState::Failed { cause: cause.clone() }),
    }
}

async fn reschedule(
    context: &Context,
    authorization: &Authorization,
    answer: PollAnswer,
) -> Result<(), OpError> {
    let next = next_poll(authorization.poll_interval, answer);
    // Not later than its end: then it is declared expired, and not whenever the next poll would have been.
    let next_poll_time = context.now().saturating_add(next.delay).min(authorization.expire_time);
    let poll = Poll { next_poll_time, interval: next.interval };
    context.store.set_next_poll(authorization, poll).await?;
    Ok(())
}

async fn end(
    context: &Context,
    authorization: &Authorization,
    state: &AuthorizationState,
) -> Result<(), OpError> {
    let transaction = context.store.begin_write().await?;
    transaction.end_authorization(authorization, state, context.now()).await?;
    transaction.commit().await?;
    announce(context, authorization, state);
    Ok(())
}

async fn settle_surely(
    context: &Context,
    authorization: &Authorization,
    sign_in: &SignIn,
) -> Result<(), OpError> {
    for _ in 0..MAX_SETTLE_ROUNDS {
        let settled = store_surely(&authorization.name, || settle(context, authorization, sign_in));
        match settled.await? {
            Settled::Completed => {
                announce(context, authorization, &AuthorizationState::Completed);
                return Ok(());
            }
            Settled::Mismatch => return end(context, authorization, &mismatch()).await,
            Settled::Superseded => return Ok(()),
            Settled::Overtaken => {}
        }
    }
    Err(OpError::Busy)
}

fn announce(context: &Context, authorization: &Authorization, state: &AuthorizationState) {
    tracing::info!(
        authorization.name = %authorization.name,
        connection.name = %authorization.connection,
        authorization.state = ?state,
        "authorization ended"
    );
    context.signals.notify(&authorization.name);
}
