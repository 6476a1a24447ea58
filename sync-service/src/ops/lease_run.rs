//! Gives a worker a run: of the source it names, or of one that is due.

use std::time::Duration;

use rand::RngExt as _;
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{Ctx, OpError, Settings};
use crate::{
    domain::{
        cursor::Cursor,
        fairness::in_turn,
        listing::{ListingCause, list_afresh},
        names::{RunName, SourceName},
        run::{Effort, Run},
        schedule::phase,
        source::{Lease, Source},
    },
    store::{Connection, StoreError, due, runs, sources},
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
    /// Where the feed goes on.
    pub cursor: Cursor,
}

/// Leases a run. `wanted` names the source; otherwise any that is due is taken, waiting up to `wait` for one.
///
/// A run whose worker died is taken over with the next epoch; its listing starts again where the stored cursor is.
///
/// # Errors
/// [`OpError::SourceNotFound`], [`OpError::SourceSuspended`] and [`OpError::SourceLeased`] for a source that was named.
pub async fn lease_run(
    ctx: &Ctx,
    worker: &str,
    wanted: Option<&SourceName>,
    wait: Duration,
) -> Result<Option<Leased>, OpError> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let rung = ctx.due.notified();
        let leased = match wanted {
            Some(name) => lease_named(ctx, worker, name).await.map(Some)?,
            None => lease_due(ctx, worker).await?,
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
    let run = if let Some(run) = open {
        take_over(conn, run).await?
    } else {
        if let Some(cause) = list_afresh_now(&source, settings.full_interval, now) {
            tracing::info!(source = %source.spec.name, ?cause, "the drive is listed afresh");
            source.list_afresh(cause);
        }
        let listing = if source.enumerating { source.listing } else { ListingCause::Changes };
        runs::insert(conn, source.key, &new_run_id(now), listing, now).await?
    };
    // Before the run's start: a due time behind it means that another run was asked for while this one was under way.
    source.next_run_time = source.next_run_time.min(now.saturating_sub(Duration::from_millis(1)));
    source.asleep = false;
    source.open_run = Some(run.key);
    source.latest_run = Some(run.id.clone());
    source.lease = Lease {
        worker: worker.to_owned(),
        epoch: source.lease.epoch + 1,
        expire_time: Some(now.saturating_add(settings.lease_ttl)),
    };
    sources::update(conn, &source, now).await?;
    let name = &source.spec.name;
    let run = RunName::new(name.tenant().clone(), name.source().clone(), run.id);
    Ok(Leased { cursor: source.cursor.clone(), source, run })
}

fn list_afresh_now(source: &Source, usual: Duration, now: Timestamp) -> Option<ListingCause> {
    let interval = source.spec.full_interval.unwrap_or(usual);
    list_afresh(&source.cursor, source.feed_failures, source.full_time, interval, phase(source.key.0), now)
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
fn new_run_id(now: Timestamp) -> ResourceId {
    let text = now.to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((digits.as_str(), ""));
    let mut random = rand::rng();
    let tail: String = (0..6).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    ResourceId::parse(&format!("{date}-{time}-{tail}")).unwrap_or_else(|_| ResourceId::new_random("run"))
}
