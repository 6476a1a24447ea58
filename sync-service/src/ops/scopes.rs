//! Keeps each item's scope what the folders above it, and the source's filter, make it.

use std::collections::{HashMap, HashSet};

use crate::{
    domain::{
        filter::Filter,
        item::{Desired, Kind, Scope},
        source::{Index, SourceKey},
    },
    store::{
        Connection, StoreError,
        items::{self, BATCH, Row},
    },
};

/// Deepest nesting that is followed upwards; deeper means that parents form a ring.
const MAX_DEPTH: usize = 1_000;

/// What a folder means for what lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Above {
    /// The scope of what lies in it, before the filter.
    passes_down: Scope,
    /// Its place in the drive, where the filter looks at places.
    path: Vec<String>,
}

impl Above {
    /// What the root means.
    fn top() -> Self {
        Self { passes_down: Scope::Mirrored, path: Vec::new() }
    }
}

/// The folders that a page's items lie in, as they are known so far.
pub(super) struct Folders<'a> {
    filter: &'a Filter,
    known: HashMap<String, Above>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        Self { filter, known: HashMap::new() }
    }

    /// Looks up folders, and what lies above them where the filter looks at places. One whose place is not known stays unknown.
    pub(super) async fn load(
        &mut self,
        conn: &impl Connection,
        source: SourceKey,
        ids: impl Iterator<Item = &str>,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<String> = ids.map(str::to_owned).collect();
        let mut levels: Vec<Vec<(String, Desired)>> = Vec::new();
        while levels.len() < MAX_DEPTH {
            wanted.retain(|id| !id.is_empty() && !self.known.contains_key(id));
            wanted.sort_unstable();
            wanted.dedup();
            if wanted.is_empty() {
                break;
            }
            let mut level = Vec::new();
            for chunk in wanted.chunks(BATCH) {
                let ids: Vec<&str> = chunk.iter().map(String::as_str).collect();
                let rows = items::by_ids(conn, source, &ids).await?;
                level.extend(rows.into_iter().filter_map(|(id, row)| Some((id, row.item.desired?))));
            }
            wanted = if self.filter.looks_at_paths() {
                level.iter().map(|(_, desired)| desired.parent_id.clone()).collect()
            } else {
                Vec::new()
            };
            levels.push(level);
        }
        for (id, desired) in levels.into_iter().rev().flatten() {
            self.note(&id, &desired);
        }
        Ok(())
    }

    /// The scope of an item by what is known. One whose folder is not known is taken for mirrored until it is, but for what its size
    /// alone decides.
    pub(super) fn scope(&self, desired: &Desired) -> Scope {
        match self.known.get(&desired.parent_id) {
            Some(above) => scope_below(above, self.filter, desired),
            None if self.filter.looks_at_paths() => Scope::Mirrored,
            None => scope_below(&Above::top(), self.filter, desired),
        }
    }

    /// Notes what an item means for what lies in it.
    pub(super) fn note(&mut self, id: &str, desired: &Desired) -> Option<Above> {
        let above = match desired.kind {
            Kind::Root => Above::top(),
            Kind::File | Kind::Folder | Kind::Opaque | Kind::Vault => {
                let path = if self.filter.looks_at_paths() {
                    below(&self.known.get(&desired.parent_id)?.path, &desired.name)
                } else {
                    Vec::new()
                };
                Above { passes_down: desired.passes_down(), path }
            }
        };
        self.known.insert(id.to_owned(), above.clone());
        Some(above)
    }

    /// Whether items below one may have another scope once it is like this.
    pub(super) fn may_turn_others(&self, before: Option<&Row>, desired: &Desired) -> bool {
        if desired.kind == Kind::File {
            return false;
        }
        match before.map(|row| row.item.desired.as_ref()) {
            // What came before its parent was taken for mirrored.
            None => desired.passes_down() != Scope::Mirrored || self.filter.looks_at_paths(),
            Some(None) => true,
            Some(Some(before)) => {
                let moved = before.parent_id != desired.parent_id || before.name != desired.name;
                before.passes_down() != desired.passes_down() || self.filter.looks_at_paths() && moved
            }
        }
    }
}

fn below(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn scope_below(above: &Above, filter: &Filter, desired: &Desired) -> Scope {
    if above.passes_down != Scope::Mirrored || filter.is_empty() {
        return above.passes_down;
    }
    let path = || below(&above.path, &desired.name);
    let taken = match desired.kind {
        Kind::File => filter.takes_file(&path(), desired.size),
        Kind::Folder => filter.takes_folder(&path()),
        Kind::Root | Kind::Opaque | Kind::Vault => true,
    };
    if taken { Scope::Mirrored } else { Scope::Excluded }
}

/// Gives everything below these items the scope that they and the filter give it. Reads and writes a page at a time, and goes no
/// deeper than something changes, or, with a filter that looks at places, than there are folders.
pub(super) async fn spread(
    conn: &impl Connection,
    index: Index,
    filter: &Filter,
    turned: Vec<(String, Above)>,
) -> Result<(), StoreError> {
    walk(conn, index, filter, filter.looks_at_paths(), turned).await
}

/// Gives every item the scope that a changed filter gives it: one pass over the index, which writes only what turns.
pub(super) async fn refilter(
    conn: &impl Connection,
    index: Index,
    filter: &Filter,
) -> Result<(), StoreError> {
    let roots = items::roots(conn, index.source).await?;
    walk(conn, index, filter, true, roots.into_iter().map(|id| (id, Above::top())).collect()).await
}

async fn walk(
    conn: &impl Connection,
    index: Index,
    filter: &Filter,
    everywhere: bool,
    mut open: Vec<(String, Above)>,
) -> Result<(), StoreError> {
    // Parents may form a ring for as long as a page that breaks it is still to come.
    let mut entered = HashSet::new();
    while let Some((folder, above)) = open.pop() {
        if everywhere && !entered.insert(folder.clone()) {
            continue;
        }
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let page = items::children(conn, index.source, &folder, (&name, &id)).await?;
            let Some(last) = page.last() else { break };
            name = last
                .item
                .desired
                .as_ref()
                .map(|desired| index.place_name(&desired.local_name))
                .unwrap_or_default();
            id.clone_from(&last.item.id);
            let whole = page.len() < BATCH;
            let mut rows = Vec::new();
            for mut row in page {
                let Some(desired) = row.item.desired.as_mut() else { continue };
                let scope = scope_below(&above, filter, desired);
                let turns = desired.scope != scope;
                desired.scope = scope;
                if desired.kind != Kind::File && (turns || everywhere) {
                    let path =
                        if filter.looks_at_paths() { below(&above.path, &desired.name) } else { Vec::new() };
                    open.push((row.item.id.clone(), Above { passes_down: desired.passes_down(), path }));
                }
                if turns {
                    rows.push(row);
                }
            }
            items::upsert(conn, index, &rows).await?;
            if whole {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::{Change, Facet, ListedItem, normalise};

    #[test]
    fn a_file_that_comes_before_its_folder_is_left_out_by_its_size() {
        let filter = Filter { max_file_bytes: Some(1), ..Filter::default() };
        let listed = ListedItem {
            id: "file".into(),
            parent_id: "unknown".into(),
            name: "a".into(),
            facet: Facet::File,
            deleted: false,
            size: 2,
            e_tag: String::new(),
            c_tag: String::new(),
            hash: String::new(),
            modified: None,
        };
        let changes = normalise(vec![listed]);
        let [Change::Upsert { desired, .. }] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(Folders::new(&filter).scope(desired), Scope::Excluded);
    }
}
