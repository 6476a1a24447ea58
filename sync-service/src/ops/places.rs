//! Keeps items of one folder from meeting at one place, where the destination takes several spellings for one name.

use crate::{
    domain::{
        item::{Item, Kind},
        local_name,
        source::Index,
    },
    store::{
        Connection, StoreError,
        items::{self, BATCH, Row},
        meetings,
    },
};

/// Gives an item another name where its own is that of another item of its folder, as the destination sees it. The item that lies
/// there already keeps it, or else the one with the lower id. What has made way keeps its new name until the drive mentions it again.
pub(super) async fn keep_apart(conn: &impl Connection, index: Index) -> Result<(), StoreError> {
    if !index.folds_names {
        return Ok(());
    }
    for work in meetings::WORKS {
        let mut after = String::new();
        loop {
            let mut rows = meetings::losers(conn, index, work, &after).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.item.id);
            for row in &mut rows {
                if let Some(desired) = &mut row.item.desired {
                    desired.local_name = local_name::encode_apart(&desired.name, &row.item.id);
                }
            }
            items::upsert(conn, index, &rows).await?;
        }
    }
    Ok(())
}

/// Makes the index compare places as `index` says: one pass over its rows. Of several items that by now lie at one place the
/// destination can have but one, and none can tell which: they are put there anew, and what is there is kept as nobody's.
pub(super) async fn compare_anew(conn: &impl Connection, index: Index) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let rows = items::page(conn, index.source, &after).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.item.id);
        items::upsert(conn, index, &rows).await?;
    }
    loop {
        let met = meetings::lying_at_one_place(conn, index.source).await?;
        if met.is_empty() {
            return Ok(());
        }
        let (folders, files): (Vec<Row>, Vec<Row>) = met.into_iter().partition(|row| is_folder(&row.item));
        for folder in folders {
            items::take_away_folder(conn, index, &folder.item.id).await?;
        }
        for chunk in files.chunks(BATCH) {
            let lost: Vec<Row> =
                chunk.iter().map(|row| Row { item: nowhere(&row.item), ..row.clone() }).collect();
            items::upsert(conn, index, &lost).await?;
        }
    }
}

fn is_folder(item: &Item) -> bool {
    item.applied.as_ref().is_some_and(|applied| applied.kind == Kind::Folder)
}

fn nowhere(item: &Item) -> Item {
    Item { applied: None, ..item.clone() }
}
