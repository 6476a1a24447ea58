//! Stores a page of the feed with its cursor, in one transaction. Changes only what is desired.

use super::{
    Ctx, OpError,
    leased::leased,
    places,
    scopes::{self, Folders},
};
use crate::{
    domain::{
        baseline::Baseline,
        change::{Change, ListedItem, normalise},
        cursor::{Cursor, PageOrder, page_order},
        item::{Applied, Desired, Item, Kind, Scope},
        listing::ListingCause,
        names::RunName,
        run::{Run, RunPhase},
        source::Source,
    },
    store::{
        Connection, StoreError,
        items::{self, BATCH, Row},
        pending, runs, sources,
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

/// Commits what was read with the link `read_with`, for a destination that folds names or does not.
///
/// # Errors
/// [`OpError::LeaseLost`]; [`OpError::CursorMismatch`] when the page follows neither the stored cursor nor is the stored one again.
pub async fn commit_page(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    read_with: &str,
    reading: Reading,
    folds_names: bool,
) -> Result<Position, OpError> {
    let txn = ctx.store.begin().await?;
    let (mut source, mut run) = leased(txn.conn(), name, epoch).await?;
    if source.folds_names != folds_names {
        tracing::info!(source = %source.spec.name, folds_names, "the destination compares names in another way");
        source.folds_names = folds_names;
        places::compare_anew(txn.conn(), source.index()).await?;
    }
    if run.phase == RunPhase::Verifying {
        // A run that heals has verified: whoever takes it over need not do that again.
        run.phase = RunPhase::Listing;
    }
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
                if source.enumerating {
                    source.full_time = ctx.now();
                }
                complete(txn.conn(), &mut source, &mut run).await?;
            }
        }
        Reading::ResyncRequired => {
            if source.cursor.link() != read_with {
                return Err(OpError::CursorMismatch(name.clone()));
            }
            if source.cursor != Cursor::Start {
                source.list_afresh(ListingCause::LinkExpired);
            }
            run.listing = source.listing;
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
    if source.filter_changed {
        scopes::refilter(conn, source.index(), &source.spec.filter).await?;
        source.filter_changed = false;
    }
    places::keep_apart(conn, source.index()).await?;
    source.enumerating = false;
    run.listing_complete = true;
    run.phase = RunPhase::Applying;
    let pending = pending::count(conn, source.key, run.create_time).await?;
    run.counts.files_planned = run.counts.done.files_transferred + pending.files;
    run.counts.bytes_planned = run.counts.done.bytes_transferred + pending.bytes;
    Ok(())
}

async fn store_changes(
    conn: &impl Connection,
    source: &Source,
    changes: &[Change],
) -> Result<(), StoreError> {
    // Of this page's items too, for children that come behind their parent.
    let mut folders = Folders::new(&source.spec.filter);
    for chunk in changes.chunks(BATCH) {
        let ids: Vec<&str> = chunk.iter().map(Change::id).collect();
        let mut known = items::by_ids(conn, source.key, &ids).await?;
        let parents = chunk.iter().filter_map(|change| match change {
            Change::Upsert { desired, .. } => Some(desired.parent_id.as_str()),
            Change::Gone { .. } => None,
        });
        folders.load(conn, source.key, parents).await?;
        let mut rows = Vec::new();
        let mut turned = Vec::new();
        for change in chunk {
            let before = known.remove(change.id());
            let Some(row) = next_row(change, before.as_ref(), source.generation, &folders) else {
                continue;
            };
            if let Some(desired) = &row.item.desired
                && let Some(above) = folders.note(&row.item.id, desired)
                && folders.may_turn_others(before.as_ref(), desired)
            {
                turned.push((row.item.id.clone(), above));
            }
            if before.as_ref() != Some(&row) {
                rows.push(row);
            }
        }
        items::upsert(conn, source.index(), &rows).await?;
        scopes::spread(conn, source.index(), &source.spec.filter, turned).await?;
    }
    Ok(())
}

/// The row after a change; `None` when an item that was never known is gone.
fn next_row(change: &Change, before: Option<&Row>, generation: i64, folders: &Folders<'_>) -> Option<Row> {
    let applied = before.and_then(|row| row.item.applied.clone());
    let item = match change {
        Change::Gone { id } => {
            let before = before?;
            if before.item.desired.as_ref().is_some_and(|desired| desired.passes_down() == Scope::InVault) {
                // A locked vault looks empty: what it does not show is not gone.
                return Some(Row { generation, ..before.clone() });
            }
            Item { id: id.clone(), desired: None, applied }
        }
        Change::Upsert { id, desired } if desired.kind == Kind::Root => {
            Item { id: id.clone(), desired: Some(desired.clone()), applied: Some(applied_root()) }
        }
        Change::Upsert { id, desired } => {
            let scope = folders.scope(desired);
            Item { id: id.clone(), desired: Some(Desired { scope, ..desired.clone() }), applied }
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
