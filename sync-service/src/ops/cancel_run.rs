//! Asks a run to stop.

use super::{Ctx, OpError};
use crate::{
    domain::{
        names::{RunName, SourceName},
        run::Run,
    },
    store::{runs, sources},
};

/// Asks a run to stop; one that has ended stays as it is, and one that waits for a worker ends at once.
///
/// # Errors
/// [`OpError::RunNotFound`].
pub async fn cancel_run(ctx: &Ctx, name: &RunName) -> Result<Run, OpError> {
    let missing = || OpError::RunNotFound(name.clone());
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let txn = ctx.store.begin().await?;
    let mut source = sources::lock_by_name(txn.conn(), &source_name).await?.ok_or_else(missing)?;
    let mut run = runs::by_id(txn.conn(), source.key, name.run()).await?.ok_or_else(missing)?;
    if run.end_time.is_none() {
        run.cancel_requested = true;
        if source.waiting_run == Some(run.key) && source.open_run != Some(run.key) {
            let now = ctx.now();
            run.cancel(now);
            source.waiting_run = None;
            sources::update(txn.conn(), &source, now).await?;
        }
        runs::update(txn.conn(), &run).await?;
        txn.commit().await?;
    }
    Ok(run)
}
