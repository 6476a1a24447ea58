//! Gives a worker a run: of the source it names, or of one that is due.

use std::time::Duration;

use rand::RngExt as _;
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{Ctx, OpError, Settings};
use crate::{
    domain::{
        cursor::Cursor,
        fairness::in_turn,
        finding::FindingCounts,
        listing::{ListingCause, list_afresh},
        names::{RunName, SourceName},
        run::{Effort, Run, RunKind, RunPhase, RunState, SOURCE_SUSPENDED, WORKER_STOPPED},
        schedule::phase,
        source::{Lease, Source},
    },
    store::{Connection, StoreError, due, findings, pending, runs, sources},
};

/// How often a waiting worker looks by itself, besides being woken.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A worker's hold on a run.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The source as leased.
    pub source: Source,
    /// The run's name.
    pub run: RunName,
    /// What its worker is to do: [`RunKind::Sync`] also for the rest of a run that heals.
    pub kind: RunKind,
    /// Where the feed goes on.
    pub cursor: Cursor,
}

/// Leases a run. `wanted` names the source, which is to be mirrored; otherwise a run that was asked for, if it is of these `kinds`,
/// or any source that is due is taken, waiting up to `wait` for one.
///
/// A run whose worker died is taken over with the next epoch; its listing starts again where the stored cursor is.
///
/// # Errors
/// [`OpError::SourceNotFound`], [`OpError::SourceSuspended`] and [`OpError::SourceLeased`] for a source that was named.
pub async fn lease_run(
    ctx: &Ctx,
    worker: &str,
    wanted: Option<&SourceName>,
    kinds: &[RunKind],
    wait: Duration,
) -> Result<Option<Leased>, OpError> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let rung = ctx.due.notified();
        let leased = match wanted {
            Some(name) => lease_named(ctx, worker, name).await.map(Some)?,
            None => match Box::pin(lease_waiting(ctx, worker, kinds)).await? {
                Some(leased) => Some(leased),
                None => lease_due(ctx, worker).await?,
            },
        };
        let now = tokio::time::Instant::now();
        if leased.is_some() || now >= deadline {
            return Ok(leased);
        }
        let look_again = (now + LOOK_AGAIN).min(deadline);
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(look_again) => {}
        }
    }
}

async fn lease_named(ctx: &Ctx, worker: &str, name: &SourceName) -> Result<Leased, OpError> {
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let source = sources::lock_by_name(txn.conn(), name)
        .await?
        .ok_or_else(|| OpError::SourceNotFound(name.clone()))?;
    if source.spec.suspended {
        return Err(OpError::SourceSuspended(name.clone()));
    }
    if let Some(expire_time) = source.lease.expire_time.filter(|expire_time| *expire_time > now) {
        let retry_after = expire_time.duration_since(now);
        return Err(OpError::SourceLeased { source_name: name.clone(), retry_after });
    }
    let leased = take(txn.conn(), worker, source, &ctx.settings, now).await?;
    txn.commit().await?;
    Ok(leased)
}

/// A run that was asked for. People ask for those one by one, so they are outside of turns and caps.
async fn lease_waiting(ctx: &Ctx, worker: &str, kinds: &[RunKind]) -> Result<Option<Leased>, OpError> {
    let now = ctx.now();
    if kinds.is_empty() || !due::any_waiting(ctx.store.read(), kinds, now).await? {
        return Ok(None);
    }
    let txn = ctx.store.begin().await?;
    let Some(mut source) = due::lock_waiting(txn.conn(), kinds, now).await? else { return Ok(None) };
    let Some(key) = source.waiting_run else { return Ok(None) };
    let run = runs::by_key(txn.conn(), key).await?;
    let Some(mut run) = run.filter(|run| run.end_time.is_none()) else {
        source.waiting_run = None;
        sources::update(txn.conn(), &source, now).await?;
        txn.commit().await?;
        return Ok(None);
    };
    if source.spec.suspended && !run.kind.looks_only() {
        // Since it was asked for.
        let reason = SOURCE_SUSPENDED.to_owned();
        source.open_run = source.open_run.filter(|open| *open != key);
        source.waiting_run = None;
        runs::update(txn.conn(), &Run { reason, ..abandoned(run, now) }).await?;
        sources::update(txn.conn(), &source, now).await?;
        txn.commit().await?;
        return Ok(None);
    }
    if let Some(open) = source.open_run.filter(|open| *open != key)
        && let Some(open) = runs::by_key(txn.conn(), open).await?
    {
        if open.mirrors() && !source.spec.suspended {
            // Of a worker that died; it goes first, and somebody takes it over as soon as it is due.
            return Ok(None);
        }
        runs::update(txn.conn(), &abandoned(open, now)).await?;
    }
    // One that heals and has verified goes on.
    if !run.mirrors() {
        begin(txn.conn(), &mut source, &mut run, &ctx.settings, now).await?;
    }
    let run = take_over(txn.conn(), run).await?;
    let leased = hold(txn.conn(), worker, source, run, &ctx.settings, now).await?;
    txn.commit().await?;
    Ok(Some(leased))
}

/// Begins a run that was asked for, from its start.
async fn begin(
    conn: &impl Connection,
    source: &mut Source,
    run: &mut Run,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), StoreError> {
    findings::clear(conn, source.key).await?;
    run.findings = FindingCounts::default();
    run.counts.deletions_held = 0;
    run.phase = match run.kind {
        RunKind::Verify | RunKind::Heal => RunPhase::Verifying,
        RunKind::Plan | RunKind::Sync => RunPhase::Listing,
    };
    if !run.kind.looks_only() {
        pending::end_back_off(conn, source.key).await?;
        run.listing = begin_listing(source, settings.full_interval, now);
        source.latest_run = Some(run.id.clone());
    }
    Ok(())
}

async fn lease_due(ctx: &Ctx, worker: &str) -> Result<Option<Leased>, OpError> {
    let now = ctx.now();
    // The usual case of a waiting worker: it disturbs nobody.
    if !due::any(ctx.store.read(), now).await? {
        return Ok(None);
    }
    let txn = ctx.store.begin().await?;
    due::stand_in_line(txn.conn()).await?;
    let claims = due::claims(txn.conn(), now).await?;
    let mut found = None;
    for claim in in_turn(&claims, ctx.settings.caps) {
        found = due::lock(txn.conn(), &claim.connection, now).await?;
        if found.is_some() {
            break;
        }
    }
    let Some(source) = found else { return Ok(None) };
    due::note_turn(txn.conn(), source.spec.name.tenant(), now).await?;
    let leased = take(txn.conn(), worker, source, &ctx.settings, now).await?;
    txn.commit().await?;
    Ok(Some(leased))
}

async fn take(
    conn: &impl Connection,
    worker: &str,
    mut source: Source,
    settings: &Settings,
    now: Timestamp,
) -> Result<Leased, StoreError> {
    let open = match source.open_run {
        Some(key) => runs::by_key(conn, key).await?,
        None => None,
    };
    let run = match open {
        Some(run) if run.mirrors() => take_over(conn, run).await?,
        looked => {
            if let Some(run) = looked {
                // A run that was asked for, whose worker died, is begun anew after this one.
                let waits = source.waiting_run == Some(run.key);
                let run = if waits { Run { phase: RunPhase::Waiting, ..run } } else { abandoned(run, now) };
                runs::update(conn, &run).await?;
            }
            let listing = begin_listing(&mut source, settings.full_interval, now);
            let doing = (RunKind::Sync, RunPhase::Listing);
            runs::insert(conn, source.key, &new_run_id(now), doing, listing, now).await?
        }
    };
    // Before the run's start: a due time behind it means that another run was asked for while this one was under way.
    source.next_run_time = source.next_run_time.min(now.saturating_sub(Duration::from_millis(1)));
    source.asleep = false;
    source.latest_run = Some(run.id.clone());
    hold(conn, worker, source, run, settings, now).await
}

async fn hold(
    conn: &impl Connection,
    worker: &str,
    mut source: Source,
    run: Run,
    settings: &Settings,
    now: Timestamp,
) -> Result<Leased, StoreError> {
    source.open_run = Some(run.key);
    source.lease = Lease {
        worker: worker.to_owned(),
        epoch: source.lease.epoch + 1,
        expire_time: Some(now.saturating_add(settings.lease_ttl)),
    };
    sources::update(conn, &source, now).await?;
    let name = &source.spec.name;
    let kind = if run.mirrors() { RunKind::Sync } else { run.kind };
    let run = RunName::new(name.tenant().clone(), name.source().clone(), run.id);
    Ok(Leased { cursor: source.cursor.clone(), kind, source, run })
}

/// Begins the listing of a new run: of what changed, or of the whole drive where that is due.
pub(super) fn begin_listing(source: &mut Source, usual: Duration, now: Timestamp) -> ListingCause {
    let interval = source.spec.full_interval.unwrap_or(usual);
    let (failures, phase) = (source.feed_failures, phase(source.key.0));
    if let Some(cause) = list_afresh(&source.cursor, failures, source.full_time, interval, phase, now) {
        tracing::info!(source = %source.spec.name, ?cause, "the drive is listed afresh");
        source.list_afresh(cause);
    }
    if source.enumerating { source.listing } else { ListingCause::Changes }
}

/// A run whose worker died and that nobody takes over.
fn abandoned(run: Run, now: Timestamp) -> Run {
    Run { state: RunState::Failed, reason: WORKER_STOPPED.to_owned(), end_time: Some(now), ..run }
}

/// What the dead worker reported last stays counted, and the listing is read to its end again before anything is applied.
async fn take_over(conn: &impl Connection, mut run: Run) -> Result<Run, StoreError> {
    let (before, last) = (run.counts.effort_before, run.counts.effort);
    run.counts.effort_before = Effort {
        graph_requests: before.graph_requests + last.graph_requests,
        bytes_received: before.bytes_received + last.bytes_received,
    };
    run.counts.effort = Effort::default();
    run.listing_complete = false;
    runs::update(conn, &run).await?;
    Ok(run)
}

/// An id that sorts by time and reads like one: `20261121-041230-k3x9`.
pub(super) fn new_run_id(now: Timestamp) -> ResourceId {
    let text = now.to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((digits.as_str(), ""));
    let mut random = rand::rng();
    let tail: String = (0..6).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    ResourceId::parse(&format!("{date}-{time}-{tail}")).unwrap_or_else(|_| ResourceId::new_random("run"))
}
