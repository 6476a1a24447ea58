//! Asks for a run that only looks, or that heals.

use super::{Ctx, OpError, RUNS_KEPT, lease_run::new_run_id, runs::NamedRun};
use crate::{
    domain::{
        listing::ListingCause,
        names::{RunName, SourceName},
        run::{Run, RunKind, RunPhase},
    },
    store::{runs, sources},
};

/// Makes a run of this kind wait for a worker, unless one does already. One of another kind gives way.
///
/// # Errors
/// [`OpError::SourceNotFound`]; [`OpError::SourceSuspended`] for a run that does not only look.
pub async fn start_run(ctx: &Ctx, name: &SourceName, kind: RunKind) -> Result<NamedRun, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let mut source = sources::lock_by_name(txn.conn(), name)
        .await?
        .ok_or_else(|| OpError::SourceNotFound(name.clone()))?;
    if source.spec.suspended && !kind.looks_only() {
        return Err(OpError::SourceSuspended(name.clone()));
    }
    let waiting = match source.waiting_run {
        Some(key) => runs::by_key(txn.conn(), key).await?.filter(|run| run.end_time.is_none()),
        None => None,
    };
    let named = |run: Run| NamedRun {
        name: RunName::new(name.tenant().clone(), name.source().clone(), run.id.clone()),
        run,
    };
    if let Some(mut run) = waiting {
        if run.kind == kind && !run.cancel_requested {
            return Ok(named(run));
        }
        if source.open_run == Some(run.key) {
            run.cancel_requested = true;
        } else {
            run.cancel(now);
        }
        runs::update(txn.conn(), &run).await?;
    }
    let doing = (kind, RunPhase::Waiting);
    let run =
        runs::insert(txn.conn(), source.key, &new_run_id(now), doing, ListingCause::Changes, now).await?;
    source.waiting_run = Some(run.key);
    sources::update(txn.conn(), &source, now).await?;
    runs::prune(txn.conn(), source.key, RUNS_KEPT).await?;
    txn.commit().await?;
    ctx.due.notify_waiters();
    Ok(named(run))
}
