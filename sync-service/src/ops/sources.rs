//! Makes, reads, changes and forgets sources.

use std::time::Duration;

use super::{Ctx, OpError};
use crate::{
    domain::{
        filter::Filter,
        names::SourceName,
        source::{Health, NewSource, Source},
    },
    store::{
        pending,
        sources::{self, SourceFilter},
    },
};

/// What of a source is to change; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceChange {
    /// Text for people.
    pub display_name: Option<String>,
    /// Time between runs.
    pub interval: Option<Duration>,
    /// Time between full comparisons; the inner `None` for the service's own.
    pub full_interval: Option<Option<Duration>>,
    /// What of the drive is mirrored.
    pub filter: Option<Filter>,
    /// Whether it is suspended.
    pub suspended: Option<bool>,
}

/// Makes a source whose first run is due at once.
///
/// # Errors
/// [`OpError::SourceExists`].
pub async fn create(ctx: &Ctx, spec: &NewSource) -> Result<Source, OpError> {
    let created = sources::insert(ctx.store.read(), spec, ctx.now()).await?;
    ctx.due.notify_waiters();
    created.ok_or_else(|| OpError::SourceExists(spec.name.clone()))
}

/// Reads a source.
///
/// # Errors
/// [`OpError::SourceNotFound`].
pub async fn get(ctx: &Ctx, name: &SourceName) -> Result<Source, OpError> {
    sources::by_name(ctx.store.read(), name).await?.ok_or_else(|| OpError::SourceNotFound(name.clone()))
}

/// Lists sources by name, behind the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    ctx: &Ctx,
    filter: &SourceFilter,
    after: Option<&(String, String)>,
    limit: u64,
) -> Result<Vec<Source>, OpError> {
    Ok(sources::list(ctx.store.read(), filter, after, limit).await?)
}

/// Changes a source. A shorter interval brings the next run forward, another filter makes it due.
///
/// # Errors
/// [`OpError::SourceNotFound`].
pub async fn change(ctx: &Ctx, name: &SourceName, change: SourceChange) -> Result<Source, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let mut source = sources::lock_by_name(txn.conn(), name)
        .await?
        .ok_or_else(|| OpError::SourceNotFound(name.clone()))?;
    if let Some(display_name) = change.display_name {
        source.spec.display_name = display_name;
    }
    if let Some(interval) = change.interval {
        source.spec.interval = interval;
        source.next_run_time = source.next_run_time.min(now.saturating_add(interval));
    }
    if let Some(full_interval) = change.full_interval {
        source.spec.full_interval = full_interval;
    }
    if let Some(filter) = change.filter.filter(|filter| *filter != source.spec.filter) {
        source.spec.filter = filter;
        source.filter_changed = true;
        // During a run, a due time behind its start tells `finish_run` that another one was asked for meanwhile.
        source.next_run_time = if source.open_run.is_some() { now } else { source.next_run_time.min(now) };
    }
    if let Some(suspended) = change.suspended {
        source.spec.suspended = suspended;
    }
    sources::update(txn.conn(), &source, now).await?;
    txn.commit().await?;
    ctx.due.notify_waiters();
    Ok(source)
}

/// Makes a source due now. Whoever asks for that wants everything tried, also what failed again and again.
///
/// # Errors
/// [`OpError::SourceNotFound`], [`OpError::SourceSuspended`].
pub async fn sync(ctx: &Ctx, name: &SourceName) -> Result<Source, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let mut source = sources::lock_by_name(txn.conn(), name)
        .await?
        .ok_or_else(|| OpError::SourceNotFound(name.clone()))?;
    if source.spec.suspended {
        return Err(OpError::SourceSuspended(name.clone()));
    }
    // During a run, a due time behind its start tells `finish_run` that another one was asked for meanwhile.
    source.next_run_time = if source.open_run.is_some() { now } else { source.next_run_time.min(now) };
    if source.health == Health::NeedsPerson {
        source.health = Health::Good;
    }
    source.asleep = false;
    pending::end_back_off(txn.conn(), source.key).await?;
    sources::update(txn.conn(), &source, now).await?;
    txn.commit().await?;
    ctx.due.notify_waiters();
    Ok(source)
}

/// Forgets a source, its index and its runs.
///
/// # Errors
/// [`OpError::SourceNotFound`].
pub async fn delete(ctx: &Ctx, name: &SourceName) -> Result<(), OpError> {
    let txn = ctx.store.begin().await?;
    if !sources::delete(txn.conn(), name).await? {
        return Err(OpError::SourceNotFound(name.clone()));
    }
    txn.commit().await?;
    Ok(())
}
