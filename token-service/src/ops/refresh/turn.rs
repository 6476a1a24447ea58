//! Takes the lease of a connection, or adopts what its owner obtained.

use std::sync::Arc;

use service_kit::clock::Timestamp;
use tokio::time::Instant;

use super::{adopt, aftermath::give_back, refuse_unless_worth_asking};
use crate::{
    domain::{
        connection::StoredConnection,
        refresh_lease::{Aftermath, Lease, LeaseRecord, Pause, PauseReason, Standing, TAKEOVER_PAUSE},
        token::AccessToken,
    },
    ops::{
        Context, OpError,
        directory_budgets::Pass,
        get_access_token::{FlightKey, find_connection},
    },
    store::{StoreError, WriteTransaction},
};

/// How this refresh goes on.
pub(super) enum Turn {
    /// Somebody else obtained a token that will do.
    Adopted(Arc<AccessToken>),
    /// It is for us to ask the provider.
    Ours(Box<Ours>),
}

/// The right to ask the provider, and what was true when it was given.
pub(super) struct Ours {
    pub(super) stored: StoredConnection,
    pub(super) lease: Lease,
    /// When somebody noticed that an answer was lost.
    pub(super) loss_time: Option<Timestamp>,
    /// When the provider's answer is no longer waited for. It lies before the end of the lease.
    pub(super) deadline: Instant,
    /// A place in the budget of the directory.
    _pass: Pass,
}

enum Claim {
    Ours(Box<Ours>),
    /// Another replica is refreshing, or was until it vanished.
    Elsewhere,
    /// The connection is not the one that was read.
    Changed,
}

/// Waits until it is our turn, or until what another replica obtained can be adopted. `beginning` is the generation of the refresh
/// token when this refresh began; nothing at first.
pub(super) async fn take_turn(
    context: &Context,
    key: &FlightKey,
    beginning: &mut Option<i64>,
) -> Result<Turn, OpError> {
    let give_up = Instant::now() + context.refresh_times.longest_wait();
    let mut abandoned = None;
    loop {
        // First the signals, then the rows: what happens in between wakes us.
        let mut signals = context.refresh_signals.subscribe();
        let stored = find_connection(context, &key.connection).await?;
        let beginning = *beginning.get_or_insert(stored.credential.refresh_token_generation);
        if let Some(token) = adopt(context, key, &stored, beginning).await? {
            return Ok(Turn::Adopted(token));
        }
        refuse_unless_worth_asking(context, key, &stored)?;
        match claim(context, key, &stored, &mut abandoned).await? {
            Claim::Ours(ours) => return Ok(Turn::Ours(ours)),
            Claim::Elsewhere => signals.wait_for(&key.connection).await,
            Claim::Changed => {}
        }
        if Instant::now() >= give_up {
            return Err(OpError::Busy);
        }
    }
}

/// Tries to take the lease.
async fn claim(
    context: &Context,
    key: &FlightKey,
    stored: &StoredConnection,
    abandoned: &mut Option<(i64, Instant)>,
) -> Result<Claim, OpError> {
    let name = &key.connection;
    // Whoever only waits takes no lock.
    let seen = context.store.find_lease(name).await?;
    if let Some(record) = &seen
        && !is_takeable(record, abandoned)
    {
        return Ok(Claim::Elsewhere);
    }
    let pass = context.directory_budgets.enter(Some(&stored.connection)).await?;
    let deadline = Instant::now() + context.refresh_times.provider_timeout;

    let transaction = context.store.begin_write().await?;
    let record = transaction.lock_lease(name).await?;
    if record.as_ref().map(|record| record.epoch) != seen.as_ref().map(|record| record.epoch) {
        return Ok(Claim::Elsewhere);
    }
    let current = match transaction.get_connection(name).await {
        Ok(current) => current,
        Err(StoreError::NotFound) => return Err(OpError::ConnectionNotFound(name.clone())),
        Err(error) => return Err(error.into()),
    };
    let version = |stored: &StoredConnection| (stored.connection.uid.clone(), stored.connection.generation);
    if version(&current) != version(stored) {
        return Ok(Claim::Changed);
    }
    let aftermath = inherited(context, record.as_ref());
    refuse_while_paused(context, key, &aftermath)?;
    refuse_while_fenced(context, &transaction, &current).await?;
    if !key.unconditional {
        context.app_health.admit(context.now())?;
    }
    let length = context.refresh_times.lease_length();
    let taken = transaction.take_lease(name, record.as_ref(), &context.replica, length, &aftermath).await;
    let lease = match taken {
        Ok(lease) => lease,
        Err(StoreError::Conflict | StoreError::AlreadyExists) => return Ok(Claim::Elsewhere),
        Err(error) => return Err(error.into()),
    };
    let loss_time = aftermath.loss_time;
    let ours = Box::new(Ours { stored: current, lease, loss_time, deadline, _pass: pass });
    if let Err(error) = transaction.commit().await {
        // Whether it was taken is not known; that nothing was sent is.
        give_back(context, key, &ours, ours.unsettled(None)).await;
        return Err(error.into());
    }
    Ok(Claim::Ours(ours))
}

/// Whether the lease may be taken: it is nobody's, or it was seen abandoned long enough ago for an owner that lives to come
/// back and store what it has.
fn is_takeable(record: &LeaseRecord, abandoned: &mut Option<(i64, Instant)>) -> bool {
    match record.standing() {
        Standing::Free => true,
        Standing::Held => false,
        Standing::Abandoned => match abandoned {
            Some((epoch, since)) if *epoch == record.epoch => since.elapsed() >= TAKEOVER_PAUSE,
            Some(_) | None => {
                *abandoned = Some((record.epoch, Instant::now()));
                false
            }
        },
    }
}

/// What the refresh before this one left behind. An owner that vanished may have been answered: that is a loss too.
fn inherited(context: &Context, record: Option<&LeaseRecord>) -> Aftermath {
    let Some(record) = record else { return Aftermath::default() };
    let mut aftermath = record.aftermath.clone();
    if record.standing() == Standing::Abandoned {
        tracing::warn!(
            lease.epoch = record.epoch,
            "whoever refreshed this connection vanished without a word: asking once what became of it"
        );
        aftermath.losses = aftermath.losses.saturating_add(1);
        aftermath.loss_time = Some(context.now());
    }
    aftermath
}

/// A throttle that another replica met binds this one as well.
async fn refuse_while_fenced(
    context: &Context,
    transaction: &WriteTransaction,
    stored: &StoredConnection,
) -> Result<(), OpError> {
    let connection = &stored.connection;
    let Some(account) = &connection.account else { return Ok(()) };
    let fence = transaction.find_directory_fence(&connection.client_id, &account.directory_id).await?;
    if let Some((until, cause)) = fence {
        context.directory_fences.raise(connection, until, &cause);
    }
    context.directory_fences.standing(connection, context.now()).map_or(Ok(()), Err)
}

/// The provider is left alone by all replicas as long as one of them was told to, or found it silent.
fn refuse_while_paused(context: &Context, key: &FlightKey, aftermath: &Aftermath) -> Result<(), OpError> {
    let standing = aftermath.standing_pause(context.now(), key.unconditional);
    let Some((Pause { reason, cause, .. }, retry_after)) = standing else { return Ok(()) };
    let cause = cause.clone();
    Err(match reason {
        PauseReason::Throttled => OpError::ProviderThrottled { cause, retry_after },
        PauseReason::Unavailable => OpError::ProviderUnavailable { cause, retry_after },
    })
}
