//! Paths at the destination, derived through applied parents.

use std::collections::HashMap;

use crate::{
    domain::{item::STAGING_PARENT, local_name::OWN_FOLDER, source::SourceKey},
    store::{
        Connection, StoreError,
        items::{self, BATCH},
    },
};

/// Folders that are remembered before the memory is emptied.
const MAX_FOLDERS: usize = 100_000;

/// Deepest nesting that is followed; deeper means that applied parents form a ring, which they never should.
const MAX_DEPTH: usize = 1_000;

/// Name of the staging folder inside [`OWN_FOLDER`].
pub(super) const STAGING_FOLDER: &str = "staging";

/// Which side of the index a path is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    /// Where things are.
    #[default]
    Applied,
    /// Where things belong.
    Desired,
}

/// Where folders are at the destination; remembers what it looked up.
#[derive(Debug, Default)]
pub(super) struct Paths {
    side: Side,
    /// Id → (parent, name); `None` when there is no such folder.
    folders: HashMap<String, Option<(String, String)>>,
}

/// Where a folder is, and through which folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Segments from the destination's root.
    pub(super) path: Vec<String>,
    /// Ids of the folder and those above it.
    pub(super) chain: Vec<String>,
}

impl Place {
    /// The path of an entry of this folder.
    pub(super) fn join(&self, name: &str) -> Vec<String> {
        self.path.iter().cloned().chain([name.to_owned()]).collect()
    }

    /// The staging folder.
    pub(super) fn staging() -> Self {
        Self { path: vec![OWN_FOLDER.to_owned(), STAGING_FOLDER.to_owned()], chain: Vec::new() }
    }
}

impl Paths {
    pub(super) fn of(side: Side) -> Self {
        Self { side, ..Self::default() }
    }

    /// Looks up folders and everything above them: one query per level, however many folders.
    pub(super) async fn load<'a>(
        &mut self,
        conn: &impl Connection,
        source: SourceKey,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<(), StoreError> {
        if self.folders.len() > MAX_FOLDERS {
            self.folders.clear();
        }
        let mut wanted: Vec<String> = ids.map(str::to_owned).collect();
        for _ in 0..MAX_DEPTH {
            wanted.retain(|id| !id.is_empty() && id != STAGING_PARENT && !self.folders.contains_key(id));
            wanted.sort_unstable();
            wanted.dedup();
            if wanted.is_empty() {
                break;
            }
            let mut above = Vec::new();
            for chunk in wanted.chunks(BATCH) {
                let ids: Vec<&str> = chunk.iter().map(String::as_str).collect();
                let mut rows = items::by_ids(conn, source, &ids).await?;
                for id in chunk {
                    let item = rows.remove(id).map(|row| row.item);
                    let entry = match self.side {
                        Side::Applied => item.and_then(|item| item.applied).map(|it| (it.parent_id, it.name)),
                        Side::Desired => {
                            item.and_then(|item| item.desired).map(|it| (it.parent_id, it.local_name))
                        }
                    };
                    above.extend(entry.iter().map(|(parent, _)| parent.clone()));
                    self.folders.insert(id.clone(), entry);
                }
            }
            wanted = above;
        }
        Ok(())
    }

    /// Where a loaded folder is; `None` when the destination has it not.
    pub(super) fn place(&self, id: &str) -> Option<Place> {
        let mut names = Vec::new();
        let mut chain = Vec::new();
        let mut at = id;
        while chain.len() < MAX_DEPTH {
            if at == STAGING_PARENT {
                let mut place = Place::staging();
                place.path.extend(names.into_iter().rev());
                place.chain = chain;
                return Some(place);
            }
            let (parent, name) = self.folders.get(at)?.as_ref()?;
            chain.push(at.to_owned());
            if parent.is_empty() {
                return Some(Place { path: names.into_iter().rev().collect(), chain });
            }
            names.push(name.clone());
            at = parent;
        }
        None
    }
}
