//! What one worker hears from the provider, all workers whose calls share the limit do, and each uses its part of what there is.

use std::time::Duration;

use futures_util::{Stream, stream};

use super::{Ctx, OpError, leased::leased};
use crate::{
    domain::names::RunName,
    store::throttles::{self, Standing},
};

/// Longest wait that can be reported.
pub const MAX_WAIT: Duration = Duration::from_hours(1);

/// Budgets are forgotten when nothing was heard of them for so long.
const MAX_AGE: Duration = Duration::from_hours(24);

/// How often a watcher looks by itself, besides being woken: a report may come to another replica.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Makes everybody who shares a budget wait, and use no more than the provider grants, where it said how much.
///
/// # Errors
/// When the database fails.
pub async fn report(
    ctx: &Ctx,
    budget: &str,
    wait: Duration,
    units_per_minute: Option<u32>,
) -> Result<(), OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    throttles::close_until(txn.conn(), budget, now.saturating_add(wait.min(MAX_WAIT))).await?;
    if let Some(units) = units_per_minute {
        throttles::grant(txn.conn(), budget, units).await?;
    }
    throttles::forget_before(txn.conn(), now.saturating_sub(MAX_AGE)).await?;
    txn.commit().await?;
    ctx.throttled.notify_waiters();
    Ok(())
}

/// How a budget stands, for those who share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// How long its calls have to wait.
    pub wait: Duration,
    /// Resource units that all together may use in a minute; `None` when nobody knows.
    pub units_per_minute: Option<u32>,
    /// Runs that share it, at least one.
    pub sharers: u32,
}

/// Counts a run among those who share a budget, from now on for as long as its lease lives.
///
/// # Errors
/// [`OpError::LeaseLost`].
pub async fn join(ctx: &Ctx, budget: &str, run: &RunName, epoch: i64) -> Result<(), OpError> {
    let txn = ctx.store.begin().await?;
    let (source, _) = leased(txn.conn(), run, epoch).await?;
    throttles::use_budget(txn.conn(), source.key, budget).await?;
    txn.commit().await?;
    ctx.throttled.notify_waiters();
    Ok(())
}

/// How a budget stands: at once, and each time that its calls have to wait longer or something else of it changes. Ends with an error
/// only.
pub fn watch(ctx: Ctx, budget: String) -> impl Stream<Item = Result<News, OpError>> + Send {
    let watch = Watch { ctx, budget, told: None };
    stream::try_unfold(watch, |mut watch| async move { Ok(Some((watch.next().await?, watch))) })
}

struct Watch {
    ctx: Ctx,
    budget: String,
    told: Option<Standing>,
}

impl Watch {
    async fn next(&mut self) -> Result<News, OpError> {
        loop {
            let rung = self.ctx.throttled.notified();
            let now = self.ctx.now();
            let mut standing = throttles::standing(self.ctx.store.read(), &self.budget, now).await?;
            if let Some(told) = self.told {
                // Forgotten waits are no news.
                standing.closed_until = standing.closed_until.max(told.closed_until);
            }
            if self.told != Some(standing) {
                self.told = Some(standing);
                return Ok(News {
                    wait: standing.closed_until.duration_since(now),
                    units_per_minute: least(self.ctx.settings.units_per_minute, standing.units_per_minute),
                    sharers: standing.sharers.max(1),
                });
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}

/// The lesser of two limits, either of which may be unknown.
fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}
