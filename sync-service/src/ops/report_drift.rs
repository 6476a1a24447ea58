//! Notes what is not at the destination as the index says.

use super::{Ctx, OpError, leased::leased, report_outcomes::store_rows};
use crate::{
    domain::{
        drift::{self, Drift},
        names::RunName,
        run::{RunKind, RunPhase},
    },
    store::items::{self, BATCH},
};

/// Notes drift in one transaction. Of an item that the index forgot it changes nothing.
///
/// # Errors
/// [`OpError::LeaseLost`]; [`OpError::NotHealing`] for a run that does not heal, or has begun to list.
pub async fn report_drift(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    found: &[(String, Drift)],
) -> Result<(), OpError> {
    let txn = ctx.store.begin().await?;
    let (source, run) = leased(txn.conn(), name, epoch).await?;
    if run.kind != RunKind::Heal || run.phase != RunPhase::Verifying {
        return Err(OpError::NotHealing(name.clone()));
    }
    let index = source.index();
    for chunk in found.chunks(BATCH) {
        let ids: Vec<&str> = chunk.iter().map(|(id, _)| id.as_str()).collect();
        let mut rows = items::by_ids(txn.conn(), source.key, &ids).await?;
        let mut folders = Vec::new();
        for (id, drift) in chunk {
            if let Some(row) = rows.get_mut(id)
                && drift::note(&mut row.item, *drift)
            {
                folders.push(id);
            }
        }
        store_rows(txn.conn(), index, rows.into_values()).await?;
        for folder in folders {
            items::take_away_folder(txn.conn(), index, folder).await?;
        }
    }
    txn.commit().await?;
    Ok(())
}
