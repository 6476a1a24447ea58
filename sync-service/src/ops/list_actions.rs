//! Streams the actions that can be done now.
//!
//! One call gives one kind of step, the first that has anything ready: folders are moved, then made, files are moved, what lies in
//! another's way is set aside, contents and times come, and deletions last. Everything in one call can be done in the order given
//! with the paths given; what depends on it comes with a later call, once its outcome is stored.

use std::collections::{HashMap, HashSet, VecDeque};

use futures_util::{Stream, stream};

use super::{
    Ctx, OpError,
    leased::leased,
    paths::{Paths, Place},
};
use crate::{
    domain::{
        action::{self, Action, ActionToken},
        baseline::Baseline,
        brake::{Brake, MIN_EMPTYING, brake, enough_applied},
        folded::folded,
        item::{Applied, Desired, Item, Kind, STAGING_PARENT, Work},
        local_name,
        names::RunName,
        run::Run,
        source::{Source, SourceKey},
    },
    store::{
        Connection, StoreError, items, pending,
        plan::{self, Ready, Step},
        runs,
    },
};

/// How much of the work a call may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What no page to come can make wrong: new folders, and contents that take nobody's place.
    WhileListing,
    /// Everything; the listing is complete.
    Everything,
}

/// The steps that [`Extent::WhileListing`] allows.
const EARLY_STEPS: [Step; 2] = [Step::MakeFolders, Step::Contents];

/// The steps in the order they are tried.
const STEPS: [Step; 8] = [
    Step::MoveFolders,
    Step::MakeFolders,
    Step::MoveFiles,
    Step::DisplaceMoved,
    Step::DisplaceDeleted,
    Step::Contents,
    Step::Times,
    Step::Deletions,
];

struct Listing {
    ctx: Ctx,
    name: RunName,
    epoch: i64,
    extent: Extent,
    steps: VecDeque<Step>,
    after: String,
    given_any: bool,
    paths: Paths,
    /// The files of the items that this page's contents replace.
    replaced: HashMap<String, Baseline>,
    /// See [`Source::folds_names`].
    folds_names: bool,
    /// Folders that this call moves: paths through them are only right once that is done.
    moved: HashSet<String>,
}

/// Streams pages of actions, none of them empty.
///
/// # Errors
/// In the stream: [`OpError::LeaseLost`], [`OpError::ListingIncomplete`].
pub fn list_actions(
    ctx: Ctx,
    name: RunName,
    epoch: i64,
    extent: Extent,
) -> impl Stream<Item = Result<Vec<Action>, OpError>> + Send {
    let steps: &[Step] = match extent {
        Extent::WhileListing => &EARLY_STEPS,
        Extent::Everything => &STEPS,
    };
    let listing = Listing {
        ctx,
        name,
        epoch,
        extent,
        steps: steps.iter().copied().collect(),
        after: String::new(),
        given_any: false,
        paths: Paths::default(),
        replaced: HashMap::new(),
        folds_names: false,
        moved: HashSet::new(),
    };
    stream::try_unfold(listing, |mut listing| async move {
        Ok(listing.next_page().await?.map(|actions| (actions, listing)))
    })
}

impl Listing {
    async fn next_page(&mut self) -> Result<Option<Vec<Action>>, OpError> {
        while let Some(step) = self.steps.front().copied() {
            let ready = self.ready(step).await?;
            let Some(last) = ready.last() else {
                if self.given_any {
                    return Ok(None);
                }
                self.steps.pop_front();
                self.after.clear();
                continue;
            };
            self.after.clone_from(&last.row.item.id);
            let actions = self.actions(step, &ready);
            if !actions.is_empty() {
                self.given_any = true;
                return Ok(Some(actions));
            }
        }
        Ok(None)
    }

    async fn ready(&mut self, step: Step) -> Result<Vec<Ready>, OpError> {
        let txn = self.ctx.store.begin().await?;
        let (source, mut run) = leased(txn.conn(), &self.name, self.epoch).await?;
        self.folds_names = source.folds_names;
        if !run.listing_complete && self.extent == Extent::Everything {
            return Err(OpError::ListingIncomplete(self.name.clone()));
        }
        if self.after.is_empty() && !self.may_start(txn.conn(), step, &source, &mut run).await? {
            txn.commit().await?;
            return Ok(Vec::new());
        }
        let ready = plan::ready(txn.conn(), source.key, &run, step, &self.after).await?;
        let parents = ready.iter().flat_map(|ready| folders_of(&ready.row.item));
        self.paths.load(txn.conn(), source.key, parents).await?;
        if step == Step::Contents {
            self.replaced = files_of_others(txn.conn(), source.key, &ready).await?;
        }
        txn.commit().await?;
        Ok(ready)
    }

    /// What is looked at once, when a step begins: the plan's size before contents, the brake before deletions.
    async fn may_start(
        &self,
        conn: &impl Connection,
        step: Step,
        source: &Source,
        run: &mut Run,
    ) -> Result<bool, OpError> {
        match step {
            Step::MoveFolders
            | Step::MakeFolders
            | Step::MoveFiles
            | Step::DisplaceMoved
            | Step::DisplaceDeleted
            | Step::Times => Ok(true),
            Step::Contents => {
                let pending = pending::count(conn, source.key, run.create_time).await?;
                run.counts.files_planned = run.counts.done.files_transferred + pending.files;
                run.counts.bytes_planned = run.counts.done.bytes_transferred + pending.bytes;
                runs::update(conn, run).await?;
                Ok(true)
            }
            Step::Deletions => {
                let held = held_deletions(conn, source, run).await?;
                if run.counts.deletions_held != held {
                    run.counts.deletions_held = held;
                    runs::update(conn, run).await?;
                }
                Ok(held == 0)
            }
        }
    }

    fn actions(&mut self, step: Step, ready: &[Ready]) -> Vec<Action> {
        let mut actions = Vec::with_capacity(ready.len());
        for Ready { row, other } in ready {
            if self.extent == Extent::WhileListing && other.is_some() {
                // Whose place it would take may yet turn out to be there still.
                continue;
            }
            let action = match step {
                Step::DisplaceMoved | Step::DisplaceDeleted => self.displace(&row.item, other.as_deref()),
                Step::MoveFolders
                | Step::MakeFolders
                | Step::MoveFiles
                | Step::Contents
                | Step::Times
                | Step::Deletions => self.action(&row.item, other.clone()),
            };
            actions.extend(action);
        }
        actions
    }

    fn action(&mut self, item: &Item, replaces: Option<String>) -> Option<Action> {
        match (item.work(), &item.desired, &item.applied) {
            (Work::MakeFolder, Some(desired), _) => {
                let path = self.paths.place(&desired.parent_id)?.join(&desired.local_name);
                let token = ActionToken::Folder {
                    parent: desired.parent_id.clone(),
                    name: desired.local_name.clone(),
                };
                Some(Action { item_id: item.id.clone(), path, step: action::Step::MakeFolder, token })
            }
            (Work::Move, Some(desired), Some(applied)) if self.only_spelled_anew(desired, applied) => {
                self.stage(item, applied, None)
            }
            (Work::Move, Some(desired), Some(applied)) => {
                let target = self.paths.place(&desired.parent_id)?;
                self.relocate(item, applied, &target, (&desired.parent_id, &desired.local_name), None)
            }
            (Work::PutContent, Some(desired), _) => {
                let path = self.paths.place(&desired.parent_id)?.join(&desired.local_name);
                let of_other = replaces.as_ref().and_then(|id| self.replaced.get(id).cloned());
                let expected = of_other.or_else(|| item.applied.as_ref().map(|applied| applied.file.clone()));
                Some(put_content(item, desired, path, expected, replaces))
            }
            (Work::SetTimes, Some(desired), Some(applied)) => {
                let path = self.paths.place(&applied.parent_id)?.join(&applied.name);
                let modified = desired.modified?;
                let token = ActionToken::Times { modified: modified.as_millis() };
                Some(Action {
                    item_id: item.id.clone(),
                    path,
                    step: action::Step::SetTimes { modified, expected: applied.file.clone() },
                    token,
                })
            }
            (Work::Delete, _, Some(applied)) => {
                let path = self.paths.place(&applied.parent_id)?.join(&applied.name);
                let step = match applied.kind {
                    Kind::File => action::Step::DeleteFile { expected: applied.file.clone() },
                    Kind::Folder | Kind::Root | Kind::Opaque | Kind::Vault => action::Step::DeleteFolder,
                };
                Some(Action { item_id: item.id.clone(), path, step, token: ActionToken::Deleted })
            }
            _ => None,
        }
    }

    /// Sets an item aside that lies where `waiting` belongs, unless `waiting` is itself set aside by this call and thereby frees
    /// a place that ends the knot.
    fn displace(&mut self, item: &Item, waiting: Option<&str>) -> Option<Action> {
        if waiting.is_some_and(|id| self.moved.contains(id)) {
            return None;
        }
        let applied = item.applied.as_ref()?;
        // What makes way is soon replaced or deleted: a changed file stays where people look for it.
        let expected = (applied.kind == Kind::File).then(|| applied.file.clone());
        let action = self.stage(item, applied, expected)?;
        self.moved.insert(item.id.clone());
        Some(action)
    }

    fn stage(&mut self, item: &Item, applied: &Applied, expected: Option<Baseline>) -> Option<Action> {
        let name = local_name::staged(&item.id, &applied.name);
        self.relocate(item, applied, &Place::staging(), (STAGING_PARENT, &name), expected)
    }

    /// Whether an item is to have a name that the destination takes for the one it has. Renaming one into the other may do nothing
    /// there: the item takes the way through the staging folder.
    fn only_spelled_anew(&self, desired: &Desired, applied: &Applied) -> bool {
        self.folds_names
            && desired.parent_id == applied.parent_id
            && folded(&desired.local_name) == folded(&applied.name)
    }

    /// Renames or moves what is there. Nothing where its path, or the target's, leads through a folder that this call moves, or
    /// where a folder would come to lie below itself: a later call finds it ready.
    fn relocate(
        &mut self,
        item: &Item,
        applied: &Applied,
        target: &Place,
        (parent_id, name): (&str, &str),
        expected: Option<Baseline>,
    ) -> Option<Action> {
        let source = self.paths.place(&applied.parent_id)?;
        let stale = source.chain.iter().chain(&target.chain).any(|id| self.moved.contains(id));
        if stale || target.chain.contains(&item.id) {
            return None;
        }
        if applied.kind == Kind::Folder {
            self.moved.insert(item.id.clone());
        }
        Some(Action {
            item_id: item.id.clone(),
            path: target.join(name),
            step: action::Step::Move { from: source.join(&applied.name), expected },
            token: ActionToken::Moved { parent: parent_id.to_owned(), name: name.to_owned() },
        })
    }
}

/// Deletions that the brake holds back now.
pub(super) async fn held_deletions(
    conn: &impl Connection,
    source: &Source,
    run: &Run,
) -> Result<i64, OpError> {
    let deletions = pending::count(conn, source.key, run.create_time).await?.deletions;
    let number = u64::try_from(deletions).unwrap_or_default();
    if number < MIN_EMPTYING || deletions <= source.approved_deletions {
        return Ok(0);
    }
    let applied = items::count_applied(conn, source.key, enough_applied(number)).await?;
    let approved = u64::try_from(source.approved_deletions).unwrap_or_default();
    Ok(match brake(number, applied, approved) {
        Brake::Release => 0,
        Brake::Hold => deletions,
    })
}

/// The files of the items whose places are taken.
async fn files_of_others(
    conn: &impl Connection,
    source: SourceKey,
    ready: &[Ready],
) -> Result<HashMap<String, Baseline>, StoreError> {
    let others: Vec<&str> = ready.iter().filter_map(|ready| ready.other.as_deref()).collect();
    let rows = items::by_ids(conn, source, &others).await?;
    Ok(rows.into_iter().filter_map(|(id, row)| Some((id, row.item.applied?.file))).collect())
}

fn folders_of(item: &Item) -> impl Iterator<Item = &str> {
    let desired = item.desired.as_ref().map(|desired| desired.parent_id.as_str());
    let applied = item.applied.as_ref().map(|applied| applied.parent_id.as_str());
    desired.into_iter().chain(applied)
}

fn put_content(
    item: &Item,
    desired: &Desired,
    path: Vec<String>,
    expected: Option<Baseline>,
    replaces: Option<String>,
) -> Action {
    Action {
        item_id: item.id.clone(),
        path,
        step: action::Step::PutContent {
            size: desired.size,
            hash: desired.hash.clone(),
            modified: desired.modified,
            e_tag: desired.e_tag.clone(),
            expected,
            deletes_replaced: replaces.is_some(),
        },
        token: ActionToken::Content {
            parent: desired.parent_id.clone(),
            name: desired.local_name.clone(),
            version: desired.version.clone(),
            modified: desired.modified.map(service_kit::clock::Timestamp::as_millis),
            replaces,
        },
    }
}
