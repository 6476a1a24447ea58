//! Says of rehearsed actions where they would happen, and what they would come upon at the destination as it is.

use std::collections::{HashMap, HashSet};

use super::{Place, Planned, Rehearsal};
use crate::{
    domain::{
        action::{Action, ActionToken, Step},
        finding::{Finding, FindingKind},
        item::{Applied, STAGING_PARENT},
        names::RunName,
        source::Index,
    },
    ops::{
        Ctx, OpError,
        paths::{Paths, Side},
        runs::{self, kept_from, name_of, why},
    },
    store::{
        items::{self, BATCH, Row},
        meetings, pending,
    },
};

pub(super) struct Describer {
    /// The index as it is.
    now: Ctx,
    /// The index as it would become.
    then: Ctx,
    name: RunName,
    /// The rows as they are.
    index: Index,
    /// Where folders are.
    places_now: Paths,
    /// Where folders belong.
    places_then: Paths,
}

/// The index as it is, as far as a page of actions needs it.
struct Present {
    rows: HashMap<String, Row>,
    /// Places that something of the drive's lies at: folder, and name as names compare there.
    taken: HashSet<(String, String)>,
}

impl Describer {
    pub(super) fn new(rehearsal: &Rehearsal) -> Self {
        Self {
            now: rehearsal.ctx.clone(),
            then: rehearsal.scratch.clone(),
            name: rehearsal.name.clone(),
            index: rehearsal.index,
            places_now: Paths::of(Side::Applied),
            places_then: Paths::of(Side::Desired),
        }
    }

    /// What these actions would do. Nothing of those that only set something aside for a while.
    pub(super) async fn planned(&mut self, actions: &[Action]) -> Result<Vec<Planned>, OpError> {
        let present = self.look_up(actions).await?;
        Ok(actions.iter().filter_map(|action| self.describe(action, &present)).collect())
    }

    async fn look_up(&mut self, actions: &[Action]) -> Result<Present, OpError> {
        let (conn, source) = (self.now.store.read(), self.index.source);
        let replaced = actions.iter().filter_map(|action| replaced(&action.token));
        let mut ids: Vec<&str> =
            actions.iter().map(|action| action.item_id.as_str()).chain(replaced).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(BATCH) {
            rows.extend(items::by_ids(conn, source, chunk).await?);
        }
        let targets: Vec<(&str, &str)> = actions.iter().filter_map(|action| target(&action.token)).collect();
        let parents = targets.iter().map(|(parent, _)| *parent);
        let applied = rows.values().filter_map(|row| row.item.applied.as_ref());
        let lain = applied.map(|applied| applied.parent_id.as_str());
        self.places_now.load(conn, source, parents.clone().chain(lain)).await?;
        self.places_then.load(self.then.store.read(), source, parents).await?;
        let mut taken = HashSet::new();
        for chunk in targets.chunks(BATCH) {
            taken.extend(meetings::taken_places(conn, self.index, chunk).await?);
        }
        Ok(Present { rows, taken })
    }

    fn describe(&self, action: &Action, present: &Present) -> Option<Planned> {
        let applied = present.rows.get(&action.item_id).and_then(|row| row.item.applied.as_ref());
        let now = applied.and_then(|applied| self.place_of(applied));
        let finding = |kind, path: &[String], size| Finding {
            kind,
            path: path.join("/"),
            from_path: String::new(),
            size,
            reason: String::new(),
            detail: String::new(),
        };
        let belongs = target(&action.token)
            .and_then(|(parent, name)| self.places_then.place(parent).map(|place| place.join(name)));
        let path = belongs.as_ref().unwrap_or(&action.path);
        Some(match &action.step {
            Step::MakeFolder => Planned {
                finding: finding(FindingKind::MakeFolder, path, 0),
                place: self.free_place(action, present, ""),
            },
            Step::Move { .. } => {
                if matches!(&action.token, ActionToken::Moved { parent, .. } if parent == STAGING_PARENT) {
                    return None;
                }
                let from_path = now.unwrap_or_default().join("/");
                Planned {
                    finding: Finding { from_path, ..finding(FindingKind::Move, path, 0) },
                    place: self.free_place(action, present, ""),
                }
            }
            Step::PutContent { size, hash, .. } => {
                let new_hash = hash.as_deref().unwrap_or_default();
                let other = replaced(&action.token).and_then(|other| present.rows.get(other));
                let replaced = other.and_then(|row| row.item.applied.as_ref()).or(applied);
                let place = match replaced {
                    Some(replaced) => self.expected_place(replaced, new_hash),
                    None => self.free_place(action, present, new_hash),
                };
                Planned { finding: finding(FindingKind::Transfer, path, *size), place }
            }
            Step::SetTimes { .. } => Planned {
                finding: finding(FindingKind::SetTime, path, 0),
                place: applied.and_then(|applied| self.expected_place(applied, "")),
            },
            Step::DeleteFile { expected } => Planned {
                finding: finding(
                    FindingKind::Delete,
                    &now.unwrap_or_else(|| path.clone()),
                    expected.size.unwrap_or_default(),
                ),
                place: applied.and_then(|applied| self.expected_place(applied, "")),
            },
            Step::DeleteFolder => Planned {
                finding: finding(FindingKind::Delete, &now.unwrap_or_else(|| path.clone()), 0),
                place: None,
            },
        })
    }

    fn place_of(&self, applied: &Applied) -> Option<Vec<String>> {
        Some(self.places_now.place(&applied.parent_id)?.join(&applied.name))
    }

    /// Where a file of the drive's lies.
    fn expected_place(&self, applied: &Applied, new_hash: &str) -> Option<Place> {
        let path = self.place_of(applied)?;
        Some(Place { path, expected: Some(applied.file.clone()), new_hash: new_hash.to_owned() })
    }

    /// The place that something goes to, where its folder is there already and nothing of the drive's lies at it.
    fn free_place(&self, action: &Action, present: &Present, new_hash: &str) -> Option<Place> {
        let (parent, name) = target(&action.token)?;
        if present.taken.contains(&(parent.to_owned(), self.index.place_name(name))) {
            return None;
        }
        let path = self.places_now.place(parent)?.join(name);
        Some(Place { path, expected: None, new_hash: new_hash.to_owned() })
    }

    /// A page of what would be left different, behind the id given, with the last id of the page.
    pub(super) async fn left(&mut self, after: &str) -> Result<Option<(Vec<Planned>, String)>, OpError> {
        let run = runs::get(&self.then, &self.name).await?.run;
        let limit = u64::try_from(BATCH).unwrap_or(u64::MAX);
        let rows = pending::list(self.then.store.read(), run.source, after, limit).await?;
        let Some(last) = rows.last().map(|row| row.item.id.clone()) else { return Ok(None) };
        let desired = rows.iter().filter_map(|row| row.item.desired.as_ref());
        let parents = desired.map(|desired| desired.parent_id.as_str());
        self.places_then.load(self.then.store.read(), run.source, parents).await?;
        let applied = rows.iter().filter_map(|row| row.item.applied.as_ref());
        let parents = applied.map(|applied| applied.parent_id.as_str());
        self.places_now.load(self.now.store.read(), run.source, parents).await?;
        let page = rows
            .iter()
            .map(|row| {
                let path = match (&row.item.desired, &row.item.applied) {
                    (Some(desired), _) => self
                        .places_then
                        .place(&desired.parent_id)
                        .map(|place| place.join(&desired.local_name)),
                    (None, Some(applied)) => self.place_of(applied),
                    (None, None) => None,
                };
                let (reason, detail) = match row.failure.as_ref().filter(|failure| kept_from(failure, &run)) {
                    Some(failure) => {
                        let until = failure.next_attempt.map(|time| format!("; left alone until {time}"));
                        (failure.reason.clone(), failure.detail.clone() + &until.unwrap_or_default())
                    }
                    None => why(row, path.is_some()),
                };
                let size = row.item.desired.as_ref().map_or(0, |desired| desired.size);
                let path = path.map_or_else(|| name_of(row), |path| path.join("/"));
                let kind = FindingKind::Leave;
                Planned {
                    finding: Finding { kind, path, from_path: String::new(), size, reason, detail },
                    place: None,
                }
            })
            .collect();
        Ok(Some((page, last)))
    }
}

/// The item, gone from the drive, whose file a content replaces.
fn replaced(token: &ActionToken) -> Option<&str> {
    match token {
        ActionToken::Content { replaces, .. } => replaces.as_deref(),
        ActionToken::Folder { .. }
        | ActionToken::Moved { .. }
        | ActionToken::Times { .. }
        | ActionToken::Deleted => None,
    }
}

/// The folder and the name that an item gets.
fn target(token: &ActionToken) -> Option<(&str, &str)> {
    match token {
        ActionToken::Folder { parent, name }
        | ActionToken::Moved { parent, name }
        | ActionToken::Content { parent, name, .. } => Some((parent, name)),
        ActionToken::Times { .. } | ActionToken::Deleted => None,
    }
}
