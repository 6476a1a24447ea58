//! Finds the items whose work can be done now. One query per kind of step; each gives a page, by item id.
//!
//! An item is ready when the folder it belongs into is at the destination and nothing else lies at its place. Items that failed in
//! the present run, or that are to be left alone for longer, wait for a later one.

use sea_orm::{FromQueryResult as _, Statement};

use super::{
    Connection, StoreError, codes,
    entity::item::Model,
    items::{self, Row},
};
use crate::domain::{run::Run, source::SourceKey};

/// What to look for. Each looks at one kind of work only, so that the index on work gives the items in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Folders to rename or move.
    MoveFolders,
    /// Folders to make.
    MakeFolders,
    /// Files to rename or move.
    MoveFiles,
    /// Items to be moved that lie where another one belongs.
    DisplaceMoved,
    /// Items to be deleted that lie where another one belongs.
    DisplaceDeleted,
    /// Contents to transfer.
    Contents,
    /// Modification times to set.
    Times,
    /// Files to delete, and folders that hold nothing any more.
    Deletions,
}

/// An item that is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The item.
    pub row: Row,
    /// [`Step::Contents`]: the file of another item, gone from the drive, whose place it takes.
    /// [`Step::DisplaceMoved`] and [`Step::DisplaceDeleted`]: the item that waits for this one's place.
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
    run: &Run,
    step: Step,
    after: &str,
) -> Result<Vec<Ready>, StoreError> {
    let values = [source.0.into(), run.key.0.into(), after.into(), run.create_time.as_millis().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql(step), values);
    let rows = conn.query_all_raw(statement).await?;
    rows.into_iter()
        .map(|row| {
            let other = row.try_get::<Option<String>>("", "other_id")?;
            Ok(Ready { row: items::read(Model::from_query_result(&row, "")?)?, other })
        })
        .collect()
}

/// `$1` is the source, `$2` the run, `$3` the id to go on behind, `$4` when the run started. Codes are constants of ours, never input.
fn sql(step: Step) -> String {
    // The item's folder is at the destination.
    let parent_applied = format!(
        "JOIN items p ON p.source_key = i.source_key AND p.item_id = i.parent_id AND p.applied_kind IN ({}, {})",
        codes::FOLDER,
        codes::ROOT
    );
    // Nothing else lies at the item's place, and no rival is to lie there.
    let free = format!("NOT EXISTS (SELECT 1 FROM items o WHERE {OCCUPANT}) AND NOT {}", rival());
    match step {
        Step::MoveFolders => format!(
            "SELECT i.*, NULL AS other_id FROM items i {parent_applied} WHERE {} AND i.applied_kind = {} AND {free} {}",
            open(codes::MOVE),
            codes::FOLDER,
            page()
        ),
        Step::MakeFolders => format!(
            "SELECT i.*, NULL AS other_id FROM items i {parent_applied} WHERE {} AND {free} {}",
            open(codes::MAKE_FOLDER),
            page()
        ),
        Step::MoveFiles => format!(
            "SELECT i.*, NULL AS other_id FROM items i {parent_applied} WHERE {} AND i.applied_kind = {} AND {free} {}",
            open(codes::MOVE),
            codes::FILE,
            page()
        ),
        Step::DisplaceMoved => displace(codes::MOVE),
        Step::DisplaceDeleted => displace(codes::DELETE),
        // A file that is to go anyway may be replaced, unless its name is spelled otherwise: that might stay.
        Step::Contents => format!(
            "SELECT i.*, o.item_id AS other_id FROM items i {parent_applied} LEFT JOIN items o ON {OCCUPANT} \
             WHERE {} AND (o.item_id IS NULL OR (o.work = {} AND o.applied_kind = {} AND o.kind IS NULL \
             AND o.applied_name = i.local_name)) \
             AND NOT {} {}",
            open(codes::PUT_CONTENT),
            codes::DELETE,
            codes::FILE,
            rival(),
            page()
        ),
        Step::Times => {
            format!("SELECT i.*, NULL AS other_id FROM items i WHERE {} {}", open(codes::SET_TIMES), page())
        }
        Step::Deletions => format!(
            "SELECT i.*, NULL AS other_id FROM items i WHERE {} AND (i.applied_kind = {} \
             OR NOT EXISTS (SELECT 1 FROM items c WHERE c.source_key = i.source_key \
             AND c.applied_parent_id = i.item_id)) {}",
            open(codes::DELETE),
            codes::FILE,
            page()
        ),
    }
}

/// What lies at the place of the item `i`: in its folder, under a name that some file system takes for its own.
const OCCUPANT: &str = "o.source_key = i.source_key AND o.applied_parent_id = i.parent_id \
                        AND o.applied_place_name = i.place_name AND o.item_id <> i.item_id";

/// Whether this run tries an item: it did not fail in it, and is not left alone for longer.
fn tried(item: &str) -> String {
    format!(
        "({item}.failed_run_key IS NULL OR ({item}.failed_run_key <> $2 \
         AND ({item}.next_attempt_time IS NULL OR {item}.next_attempt_time <= $4)))"
    )
}

/// The items with this work that this run tries. The comparison with no work lets the partial index be used.
fn open(work: i16) -> String {
    format!(
        "i.source_key = $1 AND i.work = {work} AND i.work <> {} AND i.item_id > $3 AND {}",
        codes::NO_WORK,
        tried("i")
    )
}

fn page() -> String {
    format!("ORDER BY i.item_id LIMIT {PAGE}")
}

/// Two items that are to lie at the same place: the one with the lower id goes first, the other one waits. The ids are compared
/// in a form that no index serves: few items share a place, and many have a lower id.
fn rival() -> String {
    format!(
        "EXISTS (SELECT 1 FROM items d WHERE d.source_key = i.source_key AND d.parent_id = i.parent_id \
         AND d.place_name = i.place_name AND NOT (d.item_id >= i.item_id) AND d.kind IS NOT NULL AND d.work <> {} AND {})",
        codes::NO_WORK,
        tried("d")
    )
}

/// Items `i` that are in the way of others, `o`, which wait for their places.
fn displace(work: i16) -> String {
    format!(
        "SELECT i.*, (SELECT o.item_id FROM items o WHERE {waiting} LIMIT 1) AS other_id FROM items i \
         WHERE {open} AND EXISTS (SELECT 1 FROM items o WHERE {waiting}) {page}",
        waiting = format_args!(
            "o.source_key = i.source_key AND o.parent_id = i.applied_parent_id AND o.place_name = i.applied_place_name \
             AND o.item_id <> i.item_id AND o.work IN ({make}, {mv}, {put}) \
             AND {tried} \
             AND NOT (o.work = {put} AND i.work = {delete} AND i.applied_kind = {file} AND i.kind IS NULL \
             AND o.local_name = i.applied_name)",
            tried = tried("o"),
            make = codes::MAKE_FOLDER,
            mv = codes::MOVE,
            put = codes::PUT_CONTENT,
            delete = codes::DELETE,
            file = codes::FILE
        ),
        open = open(work),
        page = page()
    )
}

#[cfg(test)]
pub(super) mod tests {
    use sea_orm::{Database, DatabaseConnection, DbBackend};

    use super::*;

    pub(in crate::store) async fn database() -> DatabaseConnection {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        migrations::ensure(&database, migrations::Schema::Sync, migrations::Policy::MigrateEmbedded)
            .await
            .unwrap();
        database
    }

    pub(in crate::store) async fn query_plan(database: &DatabaseConnection, sql: &str) -> Vec<String> {
        let values = [1_i64.into(), 1_i64.into(), "".into(), 1_i64.into()];
        explain(database, Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await
    }

    pub(in crate::store) async fn explain(
        database: &DatabaseConnection,
        mut statement: Statement,
    ) -> Vec<String> {
        statement.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = database.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect()
    }

    /// The cost of a step follows what changed: a scan, a sort, or a search by id range alone would make it quadratic.
    #[tokio::test]
    async fn every_step_walks_the_index_on_work_and_looks_up_the_rest() {
        let database = database().await;
        let steps = [
            Step::MoveFolders,
            Step::MakeFolders,
            Step::MoveFiles,
            Step::DisplaceMoved,
            Step::DisplaceDeleted,
            Step::Contents,
            Step::Times,
            Step::Deletions,
        ];
        for step in steps {
            let plan = query_plan(&database, &sql(step)).await;
            assert!(
                plan.iter()
                    .any(|line| line
                        .starts_with("SEARCH i USING INDEX items_by_work (source_key=? AND work=?")),
                "{step:?}: {plan:#?}"
            );
            for line in plan.iter().filter(|line| line.starts_with("SEARCH") && !line.starts_with("SEARCH i"))
            {
                let by_place = line
                    .contains("items_by_desired_place (source_key=? AND parent_id=? AND place_name=?)")
                    || line.contains("items_by_applied_place (source_key=? AND applied_parent_id=?");
                let by_id = line.contains("(source_key=? AND item_id=?)");
                assert!(by_place || by_id, "{step:?}: {line}");
            }
            let costly = |line: &&String| line.starts_with("SCAN") || line.contains("TEMP B-TREE");
            assert_eq!(plan.iter().find(costly), None, "{step:?}");
        }
    }
}
