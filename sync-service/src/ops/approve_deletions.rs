//! Lets deletions happen that the brake held back.

use super::{Ctx, OpError};
use crate::{
    domain::{
        names::{RunName, SourceName},
        run::Run,
    },
    store::{runs, sources},
};

/// Allows up to `max_deletions` and makes the source due.
///
/// # Errors
/// [`OpError::RunNotFound`]; [`OpError::NoDeletionsHeld`] when the run is not the newest or holds none back;
/// [`OpError::MoreDeletionsHeld`] when more wait than the number given.
pub async fn approve_deletions(ctx: &Ctx, name: &RunName, max_deletions: i64) -> Result<Run, OpError> {
    let now = ctx.now();
    let missing = || OpError::RunNotFound(name.clone());
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let txn = ctx.store.begin().await?;
    let mut source = sources::lock_by_name(txn.conn(), &source_name).await?.ok_or_else(missing)?;
    let run = runs::by_id(txn.conn(), source.key, name.run()).await?.ok_or_else(missing)?;
    let held = run.counts.deletions_held;
    if source.latest_run.as_ref() != Some(name.run()) || held == 0 || run.end_time.is_none() {
        return Err(OpError::NoDeletionsHeld(name.clone()));
    }
    if held > max_deletions {
        return Err(OpError::MoreDeletionsHeld { held, approved: max_deletions });
    }
    source.approved_deletions = max_deletions;
    source.next_run_time = now;
    sources::update(txn.conn(), &source, now).await?;
    txn.commit().await?;
    ctx.due.notify_waiters();
    Ok(run)
}
