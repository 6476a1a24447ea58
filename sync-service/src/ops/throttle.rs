//! What one worker hears from the provider, all workers whose calls share the limit do.

use std::time::Duration;

use futures_util::{Stream, stream};
use service_kit::clock::Timestamp;

use super::{Ctx, OpError};
use crate::store::throttles;

/// Longest wait that can be reported.
pub const MAX_WAIT: Duration = Duration::from_hours(1);

/// Budgets are forgotten when nothing was heard of them for so long.
const MAX_AGE: Duration = Duration::from_hours(24);

/// How often a watcher looks by itself, besides being woken: a report may come to another replica.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Makes everybody who shares a budget wait.
///
/// # Errors
/// When the database fails.
pub async fn report(ctx: &Ctx, budget: &str, wait: Duration) -> Result<(), OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    throttles::close_until(txn.conn(), budget, now.saturating_add(wait.min(MAX_WAIT))).await?;
    throttles::forget_before(txn.conn(), now.saturating_sub(MAX_AGE)).await?;
    txn.commit().await?;
    ctx.throttled.notify_waiters();
    Ok(())
}

/// How long the calls of a budget have to wait: at once, and each time that it becomes longer. Ends with an error only.
pub fn watch(ctx: Ctx, budget: String) -> impl Stream<Item = Result<Duration, OpError>> + Send {
    let watch = Watch { ctx, budget, told: None };
    stream::try_unfold(watch, |mut watch| async move { Ok(Some((watch.next_wait().await?, watch))) })
}

struct Watch {
    ctx: Ctx,
    budget: String,
    told: Option<Timestamp>,
}

impl Watch {
    async fn next_wait(&mut self) -> Result<Duration, OpError> {
        loop {
            let rung = self.ctx.throttled.notified();
            let until = throttles::closed_until(self.ctx.store.read(), &self.budget).await?;
            let until = until.unwrap_or(Timestamp::from_millis(0));
            if self.told.is_none_or(|told| until > told) {
                self.told = Some(until);
                return Ok(until.duration_since(self.ctx.now()));
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}
