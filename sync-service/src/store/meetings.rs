//! Finds what lies at a place, and items that meet at one, where the destination takes several spellings for one name.

use std::collections::HashSet;

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QuerySelect as _, Statement,
};

use super::{
    Connection, StoreError, codes,
    entity::item::{Column, Entity, Model},
    items::{self, BATCH, Row},
};
use crate::domain::{
    item::Work,
    source::{Index, SourceKey},
};

/// The kinds of work whose items may come to lie at another one's place.
pub const WORKS: [Work; 3] = [Work::MakeFolder, Work::Move, Work::PutContent];

/// One page of items with this work, behind the id `after`, that belong at the place of another item with another name, and are not
/// the one to have it.
///
/// # Errors
/// When the database fails.
pub async fn losers(
    conn: &impl Connection,
    index: Index,
    work: Work,
    after: &str,
) -> Result<Vec<Row>, StoreError> {
    read(conn, losers_sql(codes::work_code(work)), [index.source.0.into(), after.into()]).await
}

fn losers_sql(work: i16) -> String {
    let lies_there = |item: &str| {
        format!(
            "({item}.applied_kind IS NOT NULL AND {item}.applied_parent_id = {item}.parent_id \
             AND {item}.applied_place_name = {item}.place_name)"
        )
    };
    format!(
        "SELECT i.* FROM items i WHERE i.source_key = $1 AND i.work = {work} AND i.work <> {none} AND i.item_id > $2 \
         AND NOT {i_lies_there} AND EXISTS (SELECT 1 FROM items o WHERE o.source_key = i.source_key \
         AND o.parent_id = i.parent_id AND o.place_name = i.place_name AND o.name <> i.name \
         AND o.kind IN ({file}, {folder}) AND o.scope = {mirrored} AND ({o_lies_there} OR NOT (o.item_id >= i.item_id))) \
         ORDER BY i.item_id LIMIT {BATCH}",
        none = codes::NO_WORK,
        file = codes::FILE,
        folder = codes::FOLDER,
        mirrored = codes::MIRRORED,
        i_lies_there = lies_there("i"),
        o_lies_there = lies_there("o"),
    )
}

/// Some of the items that lie where another one lies.
///
/// # Errors
/// When the database fails.
pub async fn lying_at_one_place(conn: &impl Connection, source: SourceKey) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT i.* FROM items i JOIN (SELECT applied_parent_id, applied_place_name FROM items \
         WHERE source_key = $1 AND applied_parent_id > '' GROUP BY applied_parent_id, applied_place_name \
         HAVING COUNT(*) > 1 LIMIT {BATCH}) AS met ON i.applied_parent_id = met.applied_parent_id \
         AND i.applied_place_name = met.applied_place_name WHERE i.source_key = $1 AND i.item_id > $2"
    );
    read(conn, sql, [source.0.into(), "".into()]).await
}

/// Which of these places, each a folder and a name, an item lies at, with names as they compare there; at most [`BATCH`].
///
/// # Errors
/// When the database fails.
pub async fn taken_places(
    conn: &impl Connection,
    index: Index,
    places: &[(&str, &str)],
) -> Result<HashSet<(String, String)>, StoreError> {
    if places.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<(Option<String>, Option<String>)> = Entity::find()
        .select_only()
        .columns([Column::AppliedParentId, Column::AppliedPlaceName])
        .filter(Column::SourceKey.eq(index.source.0))
        .filter(Column::AppliedParentId.is_in(places.iter().map(|(parent, _)| *parent)))
        .filter(Column::AppliedPlaceName.is_in(places.iter().map(|(_, name)| index.place_name(name))))
        .into_tuple()
        .all(conn)
        .await?;
    Ok(found.into_iter().filter_map(|(parent, name)| Some((parent?, name?))).collect())
}

async fn read(
    conn: &impl Connection,
    sql: String,
    values: [sea_orm::Value; 2],
) -> Result<Vec<Row>, StoreError> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.into_iter().map(|row| items::read(Model::from_query_result(&row, "")?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::tests::{database, query_plan};

    #[tokio::test]
    async fn looking_for_meetings_costs_as_much_as_changed() {
        let database = database().await;
        for work in WORKS {
            let plan = query_plan(&database, &losers_sql(codes::work_code(work))).await;
            let has = |text: &str| plan.iter().any(|line| line.contains(text));
            assert!(has("i USING INDEX items_by_work (source_key=? AND work=? AND item_id>?)"), "{plan:#?}");
            let by_place = "items_by_desired_place (source_key=? AND parent_id=? AND place_name=?)";
            assert!(has(by_place), "{plan:#?}");
            assert!(!plan.iter().any(|line| line.contains("SCAN") || line.contains("B-TREE")), "{plan:#?}");
        }
    }
}
