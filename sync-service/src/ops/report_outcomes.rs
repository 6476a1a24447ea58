//! Stores what became of actions. Changes only what is applied.

use std::collections::{BTreeSet, HashMap};

use service_kit::clock::Timestamp;

use super::{Ctx, OpError, leased::leased};
use crate::{
    domain::{
        action::ActionToken,
        baseline::Baseline,
        item::{Item, Kind, Work},
        item_backoff,
        names::RunName,
        outcome::{self, Done},
        run::{Notice, Run},
        source::{Index, SourceKey},
    },
    store::{
        Connection, StoreError,
        items::{self, BATCH, Failure, Row},
        notices::{self, MAX_NOTICES},
        runs, sources,
    },
};

/// Reason of a worker that did not find at the destination what it was to rename.
pub const NOT_AT_DESTINATION: &str = "NOT_AT_DESTINATION";

/// Reason of a worker that did not find at the destination the folder that it was to put something into.
pub const FOLDER_NOT_AT_DESTINATION: &str = "FOLDER_NOT_AT_DESTINATION";

/// Reason of a worker for which an item does not fit into the destination.
pub const DESTINATION_FULL: &str = "DESTINATION_FULL";

/// Longest reason and detail that are stored, in characters.
const MAX_TEXT: usize = 300;

/// Longest path of a notice that is stored, in characters.
pub(super) const MAX_PATH: usize = 4096;

/// What became of one action.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The drive item.
    pub item_id: String,
    /// The action's token, as it came back.
    pub token: Vec<u8>,
    /// What became of it.
    pub result: OutcomeResult,
    /// What the worker came upon.
    pub notices: Vec<Notice>,
}

/// What became of an action.
#[derive(Clone, Debug)]
pub enum OutcomeResult {
    /// Done and durable.
    Done {
        /// Bytes transferred.
        bytes: i64,
        /// The file as the destination keeps it, where the action changed it.
        file: Option<Baseline>,
    },
    /// Not possible now.
    Failed {
        /// Machine-readable reason.
        reason: String,
        /// One sentence for people.
        detail: String,
    },
}

/// Stores outcomes in one transaction. An outcome of an item that the index forgot changes nothing.
///
/// # Errors
/// [`OpError::LeaseLost`]; [`OpError::BadActionToken`], and then none of them is stored.
pub async fn report_outcomes(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    outcomes: &[Outcome],
) -> Result<(), OpError> {
    let tokens = outcomes
        .iter()
        .enumerate()
        .map(|(index, outcome)| {
            ActionToken::decode(&outcome.token).map_err(|error| OpError::BadActionToken { index, error })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let now = ctx.now();
    let txn = ctx.store.begin().await?;
    let (mut source, mut run) = leased(txn.conn(), name, epoch).await?;
    for (outcomes, tokens) in outcomes.chunks(BATCH).zip(tokens.chunks(BATCH)) {
        store_batch(txn.conn(), source.index(), (&mut run, now), outcomes, tokens).await?;
    }
    for notice in outcomes.iter().flat_map(|outcome| &outcome.notices) {
        note(txn.conn(), &mut run, notice).await?;
    }
    runs::update(txn.conn(), &run).await?;
    if !source.destination_filled && run.counts.done != Done::default() {
        source.destination_filled = true;
        sources::update(txn.conn(), &source, now).await?;
    }
    txn.commit().await?;
    Ok(())
}

/// Counts a notice that is new, and keeps it unless there are too many.
pub(super) async fn note(conn: &impl Connection, run: &mut Run, notice: &Notice) -> Result<(), StoreError> {
    let notice = Notice {
        reason: cut(&notice.reason),
        path: notice.path.chars().take(MAX_PATH).collect(),
        detail: cut(&notice.detail),
    };
    if run.counts.local_kept >= MAX_NOTICES || notices::insert(conn, run.key, &notice).await? {
        run.counts.local_kept += 1;
    }
    Ok(())
}

async fn store_batch(
    conn: &impl Connection,
    index: Index,
    (run, now): (&mut Run, Timestamp),
    outcomes: &[Outcome],
    tokens: &[ActionToken],
) -> Result<(), StoreError> {
    let mut rows = read_rows(conn, index.source, outcomes, tokens).await?;
    let mut lost = BTreeSet::new();
    for (outcome, token) in outcomes.iter().zip(tokens) {
        store_one(&mut rows, (run, now), outcome, token);
        lost.extend(lost_folder(&rows, outcome, token));
    }
    store_rows(conn, index, rows.into_values()).await?;
    for folder in lost {
        items::take_away_folder(conn, index, &folder).await?;
    }
    Ok(())
}

/// Writes rows, and deletes those that are nowhere any more.
pub(super) async fn store_rows(
    conn: &impl Connection,
    index: Index,
    rows: impl Iterator<Item = Row>,
) -> Result<(), StoreError> {
    let (gone, kept): (Vec<Row>, Vec<Row>) = rows.partition(|row| row.item.work() == Work::Forget);
    for chunk in kept.chunks(BATCH) {
        items::upsert(conn, index, chunk).await?;
    }
    for chunk in gone.chunks(BATCH) {
        let ids: Vec<&str> = chunk.iter().map(|row| row.item.id.as_str()).collect();
        items::delete(conn, index.source, &ids).await?;
    }
    Ok(())
}

/// The folder that an outcome tells is not at the destination any more, with everything in it: it is to be made again.
fn lost_folder(rows: &HashMap<String, Row>, outcome: &Outcome, token: &ActionToken) -> Option<String> {
    let OutcomeResult::Failed { reason, .. } = &outcome.result else { return None };
    match (reason.as_str(), token) {
        (NOT_AT_DESTINATION, _) => {
            let applied = rows.get(&outcome.item_id)?.item.applied.as_ref();
            applied.filter(|applied| applied.kind == Kind::Folder).map(|_| outcome.item_id.clone())
        }
        (
            FOLDER_NOT_AT_DESTINATION,
            ActionToken::Folder { parent, .. }
            | ActionToken::Moved { parent, .. }
            | ActionToken::Content { parent, .. },
        ) => Some(parent.clone()),
        _ => None,
    }
}

async fn read_rows(
    conn: &impl Connection,
    source: SourceKey,
    outcomes: &[Outcome],
    tokens: &[ActionToken],
) -> Result<HashMap<String, Row>, StoreError> {
    let replaced = tokens.iter().filter_map(|token| match token {
        ActionToken::Content { replaces, .. } => replaces.as_deref(),
        ActionToken::Folder { .. }
        | ActionToken::Moved { .. }
        | ActionToken::Times { .. }
        | ActionToken::Deleted => None,
    });
    let mut ids: Vec<&str> =
        outcomes.iter().map(|outcome| outcome.item_id.as_str()).chain(replaced).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut rows = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(BATCH) {
        rows.extend(items::by_ids(conn, source, chunk).await?);
    }
    Ok(rows)
}

fn store_one(
    rows: &mut HashMap<String, Row>,
    (run, now): (&mut Run, Timestamp),
    outcome: &Outcome,
    token: &ActionToken,
) {
    let Some(row) = rows.get_mut(&outcome.item_id) else { return };
    match &outcome.result {
        OutcomeResult::Done { bytes, file } => {
            add(&mut run.counts.done, outcome::apply(&mut row.item, token, *bytes, file.as_ref()));
            row.failure = None;
            if let ActionToken::Content { parent, name, replaces: Some(replaced), .. } = token
                && let Some(other) = rows.get_mut(replaced)
                && lies_at(&other.item, parent, name)
            {
                other.item.applied = None;
            }
        }
        // Somebody took the file away: then the destination has nothing of it, and it is transferred again.
        OutcomeResult::Failed { reason, .. }
            if reason == NOT_AT_DESTINATION
                && row.item.applied.as_ref().is_some_and(|a| a.kind == Kind::File) =>
        {
            row.item.applied = None;
        }
        OutcomeResult::Failed { reason, .. }
            if reason == NOT_AT_DESTINATION
                && row.item.applied.as_ref().is_some_and(|a| a.kind == Kind::Folder) => {}
        OutcomeResult::Failed { reason, detail } => {
            let known = row.failure.as_ref().is_some_and(|failure| failure.run == run.key);
            run.counts.items_failed += i64::from(!known);
            let before = row.failure.as_ref().map_or(0, |failure| failure.attempts);
            // A report that comes twice is one attempt.
            let attempts = if known { before } else { before.saturating_add(1) };
            row.failure = Some(Failure {
                run: run.key,
                reason: cut(reason),
                detail: cut(detail),
                attempts,
                // What does not fit is not the item's fault: it is tried as soon as there may be room.
                next_attempt: (reason != DESTINATION_FULL)
                    .then(|| now.saturating_add(item_backoff::pause(attempts))),
            });
        }
    }
}

fn lies_at(item: &Item, parent: &str, name: &str) -> bool {
    item.applied.as_ref().is_some_and(|applied| applied.parent_id == parent && applied.name == name)
}

fn add(sum: &mut Done, more: Done) {
    sum.folders_made += more.folders_made;
    sum.items_moved += more.items_moved;
    sum.files_transferred += more.files_transferred;
    sum.bytes_transferred += more.bytes_transferred;
    sum.items_deleted += more.items_deleted;
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
