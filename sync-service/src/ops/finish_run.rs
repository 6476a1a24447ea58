//! Ends a run, judges how it ended, and says when the next is due.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::{
    Ctx, OpError, RUNS_KEPT, leased::leased, list_actions::held_deletions, renew_lease::grown,
    report_outcomes::cut,
};
use crate::{
    domain::{
        activity::Activity,
        listing::feed_failures_after,
        names::{RunName, SourceName},
        run::{Effort, FinishState, Remainder, Run, RunState, WORKER_STOPPED, final_state},
        schedule::{FIRST_RETRY, SLEEP, next_run_time, phase},
        source::{Health, Source},
    },
    store::{Connection, connections, pending, runs, sources},
};

/// Reasons of token-service that end when the connection is repaired, or made again.
const BROKEN_CONNECTION: [&str; 4] =
    ["NEEDS_REAUTH", "CONNECTION_BLOCKED", "CONNECTION_REVOKED", "CONNECTION_NOT_FOUND"];

/// What a worker says at the end.
#[derive(Clone, Debug)]
pub struct Finish {
    /// How its work ended.
    pub state: FinishState,
    /// Machine-readable reason.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
    /// What it spent.
    pub effort: Effort,
    /// When the provider said to come back at the earliest.
    pub retry_after: Option<Duration>,
    /// What it was at last.
    pub activity: Activity,
}

/// Ends the run and frees its lease. Gives what is left. A run that this lease has ended already stays as it ended.
///
/// # Errors
/// [`OpError::LeaseLost`].
pub async fn finish_run(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    finish: &Finish,
) -> Result<Remainder, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let held = leased(txn.conn(), name, epoch).await;
    if matches!(held, Err(OpError::LeaseLost(_)))
        && let Some((source, run)) = ended_by(txn.conn(), name, epoch).await?
    {
        return remainder(txn.conn(), &source, &run).await;
    }
    let (mut source, mut run) = held?;
    let looks_only = run.kind.looks_only();
    let left = remainder(txn.conn(), &source, &run).await?;
    let (state, reason) = final_state(finish.state, left);
    run.state = state;
    run.reason = if reason.is_empty() { cut(&finish.reason) } else { reason.to_owned() };
    run.detail = detail(state, finish, left);
    if !looks_only {
        run.counts.deletions_held = left.deletions_held;
    }
    run.counts.effort = grown(run.counts.effort, finish.effort);
    run.activity = run.activity.after(finish.activity.clone()).ended();
    run.end_time = Some(now);
    runs::update(txn.conn(), &run).await?;

    source.waiting_run = source.waiting_run.filter(|waiting| *waiting != run.key);
    // One that only looks says nothing about when and how the source is mirrored.
    if !looks_only {
        judge(&mut source, &run, finish, now);
        if ctx.settings.follows_connections && waits_for_connection(&run) {
            rest(txn.conn(), &mut source, &run, now).await?;
        }
        if matches!(state, RunState::Succeeded | RunState::Partial) {
            source.approved_deletions = 0;
        }
    }
    source.lease.expire_time = None;
    source.open_run = None;
    sources::update(txn.conn(), &source, now).await?;
    runs::prune(txn.conn(), source.key, RUNS_KEPT).await?;
    txn.commit().await?;
    // Another source may have waited for this one's place below a cap.
    ctx.due.notify_waiters();
    Ok(left)
}

/// What the end of a run means for its source: how it does, and when it is due again.
fn judge(source: &mut Source, run: &Run, finish: &Finish, now: Timestamp) {
    if finish.state == FinishState::Failed && finish.reason == WORKER_STOPPED {
        // That says nothing about the source: it stays due, and the next worker goes on.
        return;
    }
    source.health = match run.state {
        RunState::NeedsPerson => Health::NeedsPerson,
        RunState::Failed => Health::Failing,
        RunState::Running | RunState::Succeeded | RunState::Partial | RunState::Cancelled => Health::Good,
    };
    source.failures = if run.state == RunState::Failed { source.failures.saturating_add(1) } else { 0 };
    source.feed_failures = feed_failures_after(source.feed_failures, run.listing_complete, &run.reason);
    if source.next_run_time < run.create_time {
        let spread = (phase(source.key.0), rand::random());
        let (interval, failures) = (source.spec.interval, source.failures);
        source.next_run_time = next_run_time(now, interval, run.state, failures, finish.retry_after, spread);
    }
}

/// Whether the repair of the connection is what the source waits for.
fn waits_for_connection(run: &Run) -> bool {
    run.state == RunState::NeedsPerson && BROKEN_CONNECTION.contains(&run.reason.as_str())
}

/// Lets the source sleep until its connection is repaired, unless that has happened while the run was under way.
async fn rest(conn: &impl Connection, source: &mut Source, run: &Run, now: Timestamp) -> Result<(), OpError> {
    let known = connections::known(conn, &source.spec.connection).await?;
    let repaired = known.is_some_and(|known| known.usable && known.change_time >= run.create_time);
    // Asked for meanwhile: then it is looked at once more.
    if source.next_run_time >= run.create_time && source.next_run_time <= now {
        return Ok(());
    }
    source.asleep = !repaired;
    source.next_run_time = now.saturating_add(if repaired { FIRST_RETRY } else { SLEEP });
    Ok(())
}

/// The run and its source, if this very lease has ended it and nobody leased the source since.
async fn ended_by(
    conn: &impl Connection,
    name: &RunName,
    epoch: i64,
) -> Result<Option<(Source, Run)>, OpError> {
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let source = sources::by_name(conn, &source_name).await?.filter(|source| source.lease.epoch == epoch);
    let Some(source) = source else { return Ok(None) };
    let run = runs::by_id(conn, source.key, name.run()).await?.filter(|run| run.end_time.is_some());
    Ok(run.map(|run| (source, run)))
}

async fn remainder(conn: &impl Connection, source: &Source, run: &Run) -> Result<Remainder, OpError> {
    if run.kind.looks_only() {
        return Ok(Remainder { listing_complete: true, items_left: 0, deletions_held: 0 });
    }
    let pending = pending::count(conn, source.key, run.create_time).await?;
    let deletions_held = held_deletions(conn, source, run).await?;
    let listing_complete = run.listing_complete;
    Ok(Remainder { listing_complete, items_left: pending.items - deletions_held, deletions_held })
}

fn detail(state: RunState, finish: &Finish, left: Remainder) -> String {
    match state {
        RunState::NeedsPerson if left.deletions_held > 0 && finish.state == FinishState::Completed => {
            format!("{} deletions wait for approval", left.deletions_held)
        }
        RunState::Partial => format!("{} items could not be finished", left.items_left),
        RunState::Running
        | RunState::Succeeded
        | RunState::Failed
        | RunState::NeedsPerson
        | RunState::Cancelled => cut(&finish.detail),
    }
}
