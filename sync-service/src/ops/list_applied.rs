//! Lists what the destination has in one folder, as far as the index knows.

use super::{Ctx, OpError, leased::leased};
use crate::{
    domain::{item::Item, names::RunName},
    store::{
        applied::{self, Totals},
        items::{self, BATCH},
    },
};

/// Which folder, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Item id; empty for the root, [`STAGING_PARENT`](crate::domain::item::STAGING_PARENT) for the staging folder.
    pub folder: String,
    /// Only folders.
    pub folders_only: bool,
    /// Place name and id of the last item that the worker has; both empty for the first page.
    pub after: (String, String),
}

/// A page of a folder.
#[derive(Clone, Debug)]
pub struct AppliedPage {
    /// The items; each has something applied.
    pub items: Vec<Item>,
    /// Where the next page goes on; `None` on the last.
    pub next: Option<(String, String)>,
    /// How much there is in all; only with the first page of the root.
    pub totals: Option<Totals>,
}

/// One page, read in one transaction.
///
/// # Errors
/// [`OpError::LeaseLost`].
pub async fn list_applied(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    wanted: &Wanted,
) -> Result<AppliedPage, OpError> {
    let txn = ctx.store.begin().await?;
    let (source, _) = leased(txn.conn(), name, epoch).await?;
    let first_of_all = wanted.folder.is_empty() && !wanted.folders_only && wanted.after == Default::default();
    let totals = if first_of_all { Some(applied::totals(txn.conn(), source.key).await?) } else { None };
    let folders = match wanted.folder.as_str() {
        "" => items::roots(txn.conn(), source.key).await?,
        folder => vec![folder.to_owned()],
    };
    let after = (wanted.after.0.as_str(), wanted.after.1.as_str());
    let rows = applied::lying_in(txn.conn(), source.key, &folders, wanted.folders_only, after).await?;
    txn.commit().await?;
    let place = |item: &Item| {
        item.applied.as_ref().map(|applied| (source.index().place_name(&applied.name), item.id.clone()))
    };
    let next = if rows.len() < BATCH { None } else { rows.last().and_then(|row| place(&row.item)) };
    Ok(AppliedPage { items: rows.into_iter().map(|row| row.item).collect(), next, totals })
}
