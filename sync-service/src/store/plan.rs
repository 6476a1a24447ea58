//! Finds the items whose work can be done now. One query per kind of step; each gives a page, by item id.
//!
//! An item is ready when the folder it belongs into is at the destination and nothing else lies at its place. Items that failed in
//! the present run wait for the next one.

use sea_orm::{FromQueryResult as _, Statement};

use super::{
    Connection, StoreError, codes,
    entity::item::Model,
    items::{self, Row},
};
use crate::domain::source::{RunKey, SourceKey};

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Folders to rename or move.
    MoveFolders,
    /// Folders to make and files to rename or move.
    MakeFoldersAndMoveFiles,
    /// Items that lie where another one belongs, and that must go elsewhere anyway.
    Displace,
    /// Contents to transfer and times to set.
    Contents,
    /// Files to delete, and folders that hold nothing any more.
    Deletions,
}

/// An item that is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The item.
    pub row: Row,
    /// [`Step::Contents`]: the file of another item, gone from the drive, whose place it takes.
    /// [`Step::Displace`]: the item that waits for this one's place.
    pub other: Option<String>,
}

/// Most items that one query gives.
pub const PAGE: usize = items::BATCH;

/// One page of ready items behind the id `after`, in order of id.
///
/// # Errors
/// When the database fails.
pub async fn ready(
    conn: &impl Connection,
    source: SourceKey,
    run: RunKey,
    step: Step,
    after: &str,
) -> Result<Vec<Ready>, StoreError> {
    let values = [source.0.into(), run.0.into(), after.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql(step), values);
    let rows = conn.query_all_raw(statement).await?;
    rows.into_iter()
        .map(|row| {
            let other = row.try_get::<Option<String>>("", "other_id")?;
            Ok(Ready { row: items::read(Model::from_query_result(&row, "")?)?, other })
        })
        .collect()
}

/// `$1` is the source, `$2` the run, `$3` the id to go on behind. Codes are constants of ours, never input.
fn sql(step: Step) -> String {
    const NOT_FAILED: &str = "(i.failed_run_key IS NULL OR i.failed_run_key <> $2)";
    let parent_applied = format!(
        "JOIN items p ON p.source_key = i.source_key AND p.item_id = i.parent_id AND p.applied_kind IN ({}, {})",
        codes::FOLDER,
        codes::ROOT
    );
    let occupant = "o.source_key = i.source_key AND o.applied_parent_id = i.parent_id \
                    AND o.applied_name = i.local_name AND o.item_id <> i.item_id";
    // Two items that are to lie at the same place: the one with the lower id goes first, the other one waits.
    let rival = format!(
        "EXISTS (SELECT 1 FROM items d WHERE d.source_key = i.source_key AND d.parent_id = i.parent_id \
         AND d.local_name = i.local_name AND d.item_id < i.item_id AND d.kind IS NOT NULL AND d.work <> {} \
         AND (d.failed_run_key IS NULL OR d.failed_run_key <> $2))",
        codes::NO_WORK
    );
    let open = format!("i.source_key = $1 AND i.work <> {} AND {NOT_FAILED} AND i.item_id > $3", codes::NO_WORK);
    let page = format!("ORDER BY i.item_id LIMIT {PAGE}");
    let free = format!("NOT EXISTS (SELECT 1 FROM items o WHERE {occupant}) AND NOT {rival}");
    let deletable_file = format!("o.work = {} AND o.applied_kind = {} AND o.kind IS NULL", codes::DELETE, codes::FILE);
    match step {
        Step::MoveFolders => format!(
            "SELECT i.*, NULL AS other_id FROM items i {parent_applied} \
             WHERE {open} AND i.work = {} AND i.applied_kind = {} AND {free} {page}",
            codes::MOVE,
            codes::FOLDER
        ),
        Step::MakeFoldersAndMoveFiles => format!(
            "SELECT i.*, NULL AS other_id FROM items i {parent_applied} \
             WHERE {open} AND (i.work = {} OR (i.work = {} AND i.applied_kind = {})) AND {free} {page}",
            codes::MAKE_FOLDER,
            codes::MOVE,
            codes::FILE
        ),
        Step::Contents => format!(
            "SELECT i.*, o.item_id AS other_id FROM items i {parent_applied} \
             LEFT JOIN items o ON {occupant} \
             WHERE {open} AND i.work IN ({}, {}) AND (o.item_id IS NULL OR ({deletable_file})) AND NOT {rival} {page}",
            codes::PUT_CONTENT,
            codes::SET_TIMES
        ),
        // Here `i` is the item in the way and `o` the one that waits for the place.
        Step::Displace => format!(
            "SELECT i.*, MIN(o.item_id) AS other_id FROM items i \
             JOIN items o ON o.source_key = i.source_key AND o.parent_id = i.applied_parent_id \
             AND o.local_name = i.applied_name AND o.item_id <> i.item_id \
             AND o.work <> {none} AND o.work IN ({make}, {mv}, {put}) \
             AND (o.failed_run_key IS NULL OR o.failed_run_key <> $2) \
             WHERE {open} AND i.work IN ({mv}, {delete}) \
             AND NOT (o.work = {put} AND i.work = {delete} AND i.applied_kind = {file} AND i.kind IS NULL) \
             GROUP BY i.source_key, i.item_id {page}",
            none = codes::NO_WORK,
            make = codes::MAKE_FOLDER,
            mv = codes::MOVE,
            put = codes::PUT_CONTENT,
            delete = codes::DELETE,
            file = codes::FILE
        ),
        Step::Deletions => format!(
            "SELECT i.*, NULL AS other_id FROM items i WHERE {open} AND i.work = {} AND (i.applied_kind = {} \
             OR NOT EXISTS (SELECT 1 FROM items c WHERE c.source_key = i.source_key \
             AND c.applied_parent_id = i.item_id)) {page}",
            codes::DELETE,
            codes::FILE
        ),
    }
}
