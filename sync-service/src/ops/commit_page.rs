//! Stores a page of the feed with its cursor, in one transaction. Changes only what is desired.

use std::collections::{HashMap, HashSet};

use super::{Ctx, OpError, leased::leased};
use crate::{
    domain::{
        baseline::Baseline,
        change::{Change, ListedItem, normalise},
        cursor::{Cursor, PageOrder, page_order},
        item::{Applied, Desired, Item, Kind},
        names::RunName,
        run::{Run, RunPhase},
        source::{Source, SourceKey},
    },
    store::{
        Connection, StoreError,
        items::{self, BATCH, Row},
        runs, sources,
    },
};

/// What a worker read.
#[derive(Clone, Debug)]
pub enum Reading {
    /// A page and where it leads.
    Page {
        /// The items in the order they came.
        items: Vec<ListedItem>,
        /// [`Cursor::Page`] or [`Cursor::CaughtUp`].
        leads_to: Cursor,
    },
    /// The provider refused the cursor.
    ResyncRequired,
}

/// How the listing stands after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The link to read the next page with.
    pub cursor: String,
    /// Whether the listing is complete.
    pub listing_complete: bool,
}

/// Commits what was read with the link `read_with`.
///
/// # Errors
/// [`OpError::LeaseLost`]; [`OpError::CursorMismatch`] when the page follows neither the stored cursor nor is the stored one again.
pub async fn commit_page(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    read_with: &str,
    reading: Reading,
) -> Result<Position, OpError> {
    let txn = ctx.store.begin().await?;
    let (mut source, mut run) = leased(txn.conn(), name, epoch).await?;
    match reading {
        Reading::Page { items, leads_to } => {
            match page_order(&source.cursor, read_with, &leads_to) {
                PageOrder::Stray => return Err(OpError::CursorMismatch(name.clone())),
                PageOrder::Again => return Ok(position(&source, &run)),
                PageOrder::Next => {}
            }
            run.counts.pages += 1;
            run.counts.items_listed += i64::try_from(items.len()).unwrap_or(i64::MAX);
            store_changes(txn.conn(), &source, &normalise(items)).await?;
            source.cursor = leads_to;
            if matches!(source.cursor, Cursor::CaughtUp(_)) {
                complete(txn.conn(), &mut source, &mut run).await?;
            }
        }
        Reading::ResyncRequired => {
            if source.cursor.link() != read_with {
                return Err(OpError::CursorMismatch(name.clone()));
            }
            // Nothing is gone yet: only the complete listing of the new generation can tell.
            if source.cursor != Cursor::Start {
                source.cursor = Cursor::Start;
                source.generation += 1;
            }
            source.enumerating = true;
            run.listing_complete = false;
        }
    }
    sources::update(txn.conn(), &source, ctx.now()).await?;
    runs::update(txn.conn(), &run).await?;
    txn.commit().await?;
    Ok(position(&source, &run))
}

fn position(source: &Source, run: &Run) -> Position {
    Position { cursor: source.cursor.link().to_owned(), listing_complete: run.listing_complete }
}

async fn complete(conn: &impl Connection, source: &mut Source, run: &mut Run) -> Result<(), StoreError> {
    let unseen_before = source.enumerating.then_some(source.generation);
    items::settle(conn, source.key, unseen_before).await?;
    source.enumerating = false;
    run.listing_complete = true;
    run.phase = RunPhase::Applying;
    let pending = items::pending(conn, source.key, run.create_time).await?;
    run.counts.files_planned = run.counts.done.files_transferred + pending.files;
    run.counts.bytes_planned = run.counts.done.bytes_transferred + pending.bytes;
    Ok(())
}

async fn store_changes(
    conn: &impl Connection,
    source: &Source,
    changes: &[Change],
) -> Result<(), StoreError> {
    // Kinds of this page's items, for children that come behind their parent.
    let mut kinds: HashMap<&str, Kind> = HashMap::with_capacity(changes.len());
    for chunk in changes.chunks(BATCH) {
        let ids: Vec<&str> = chunk.iter().map(Change::id).collect();
        let mut known = items::by_ids(conn, source.key, &ids).await?;
        let parents = parent_kinds(conn, source.key, chunk).await?;
        let mut rows = Vec::new();
        let mut newly_opaque = Vec::new();
        for change in chunk {
            let before = known.remove(change.id());
            let parent_kind = |id: &str| kinds.get(id).or_else(|| parents.get(id)).copied();
            let Some(row) = next_row(change, before.as_ref(), source.generation, parent_kind) else {
                continue;
            };
            if let Some(desired) = &row.item.desired {
                kinds.insert(change.id(), desired.kind);
                if desired.kind == Kind::Opaque {
                    newly_opaque.push(change.id());
                }
            }
            if before.as_ref() != Some(&row) {
                rows.push(row);
            }
        }
        items::upsert(conn, source.key, &rows).await?;
        items::make_descendants_opaque(conn, source.key, &newly_opaque).await?;
    }
    Ok(())
}

async fn parent_kinds(
    conn: &impl Connection,
    source: SourceKey,
    chunk: &[Change],
) -> Result<HashMap<String, Kind>, StoreError> {
    let parents: HashSet<&str> = chunk
        .iter()
        .filter_map(|change| match change {
            Change::Upsert { desired, .. } if !desired.parent_id.is_empty() => {
                Some(desired.parent_id.as_str())
            }
            Change::Upsert { .. } | Change::Gone { .. } => None,
        })
        .collect();
    let parents: Vec<&str> = parents.into_iter().collect();
    let rows = items::by_ids(conn, source, &parents).await?;
    Ok(rows.into_iter().filter_map(|(id, row)| Some((id, row.item.desired?.kind))).collect())
}

/// The row after a change; `None` when an item that was never known is gone.
fn next_row(
    change: &Change,
    before: Option<&Row>,
    generation: i64,
    parent_kind: impl Fn(&str) -> Option<Kind>,
) -> Option<Row> {
    let applied = before.and_then(|row| row.item.applied.clone());
    let item = match change {
        Change::Gone { id } => {
            before?;
            Item { id: id.clone(), desired: None, applied }
        }
        Change::Upsert { id, desired } if desired.kind == Kind::Root => {
            Item { id: id.clone(), desired: Some(desired.clone()), applied: Some(applied_root()) }
        }
        Change::Upsert { id, desired } => {
            // Whatever lies below something opaque is opaque too.
            let below_opaque = parent_kind(&desired.parent_id) == Some(Kind::Opaque);
            let kind = if below_opaque { Kind::Opaque } else { desired.kind };
            Item { id: id.clone(), desired: Some(Desired { kind, ..desired.clone() }), applied }
        }
    };
    let changed = before.is_none_or(|row| row.item.desired != item.desired);
    let failure = if changed { None } else { before.and_then(|row| row.failure.clone()) };
    Some(Row { item, generation, failure })
}

fn applied_root() -> Applied {
    Applied {
        parent_id: String::new(),
        name: String::new(),
        kind: Kind::Root,
        version: String::new(),
        modified: None,
        file: Baseline::default(),
    }
}
