//! Keeps a lease, takes progress, tells whether to stop.

use service_kit::clock::Timestamp;

use super::{Ctx, OpError, leased::leased};
use crate::{
    domain::{activity::Activity, names::RunName, run::Effort},
    store::{runs, sources},
};

/// The lease after its renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// When it ends now.
    pub expire_time: Timestamp,
    /// Whether the worker is to stop.
    pub stop: bool,
}

/// Renews a lease. Progress never goes backwards.
///
/// # Errors
/// [`OpError::LeaseLost`].
pub async fn renew_lease(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    effort: Effort,
    activity: Activity,
) -> Result<Renewed, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let (mut source, mut run) = leased(txn.conn(), name, epoch).await?;
    let expire_time = now.saturating_add(ctx.settings.lease_ttl);
    source.lease.expire_time = Some(expire_time);
    sources::update(txn.conn(), &source, now).await?;
    run.counts.effort = grown(run.counts.effort, effort);
    run.activity = run.activity.after(activity);
    runs::update(txn.conn(), &run).await?;
    txn.commit().await?;
    Ok(Renewed { expire_time, stop: run.cancel_requested })
}

/// The larger of two reports: one that was overtaken on its way takes nothing back.
pub(super) fn grown(stored: Effort, reported: Effort) -> Effort {
    Effort {
        graph_requests: stored.graph_requests.max(reported.graph_requests),
        bytes_received: stored.bytes_received.max(reported.bytes_received),
    }
}
