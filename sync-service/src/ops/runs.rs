//! Reads runs.

use std::collections::HashMap;

use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{Ctx, OpError, report_findings::DELETION_HELD};
use crate::{
    domain::{
        finding::Finding,
        item::{Kind, Work},
        local_name,
        names::{RunName, SourceName},
        run::{DELETIONS_NEED_APPROVAL, ITEMS_LEFT, Notice, Run, RunState},
        source::{RunKey, SourceKey},
    },
    store::{
        findings,
        items::{self, Failure, Row},
        notices, pending,
        runs::{self, RunFilter},
        sources,
    },
};

/// Notices that a run shows.
pub const SHOWN_NOTICES: u64 = 100;

/// Items that a run lists as not finished.
pub const MAX_ISSUES: u64 = 100;

/// An item that could not be finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Path in the drive, as far as it is known.
    pub path: String,
    /// The drive item.
    pub item_id: String,
    /// Machine-readable reason.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
    /// Failed attempts in a row; 0 where none was made.
    pub attempts: u32,
    /// Runs that start earlier do not try the item, unless it changes.
    pub next_attempt: Option<Timestamp>,
}

/// A run with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRun {
    /// Its name.
    pub name: RunName,
    /// The run.
    pub run: Run,
}

/// Reads one run.
///
/// # Errors
/// [`OpError::RunNotFound`].
pub async fn get(ctx: &Ctx, name: &RunName) -> Result<NamedRun, OpError> {
    let missing = || OpError::RunNotFound(name.clone());
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let source = sources::by_name(ctx.store.read(), &source_name).await?.ok_or_else(missing)?;
    let run = runs::by_id(ctx.store.read(), source.key, name.run()).await?.ok_or_else(missing)?;
    Ok(NamedRun { name: name.clone(), run })
}

/// The items that a run could not finish: what still differs, while no later run has started.
///
/// # Errors
/// When the database fails.
pub async fn issues(ctx: &Ctx, named: &NamedRun) -> Result<Vec<Issue>, OpError> {
    let name = &named.name;
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let source = sources::by_name(ctx.store.read(), &source_name).await?;
    let Some(source) = source.filter(|source| source.latest_run.as_ref() == Some(name.run())) else {
        return Ok(Vec::new());
    };
    if named.run.end_time.is_none() || named.run.state == RunState::Succeeded {
        return Ok(Vec::new());
    }
    // A run that got to its end left what it could not do. One that stopped early left the rest as well, which is no issue.
    let is_all = matches!(named.run.reason.as_str(), ITEMS_LEFT | DELETIONS_NEED_APPROVAL);
    let failed_in = (!is_all).then_some(named.run.key);
    let rows = pending::list_left(ctx.store.read(), source.key, failed_in, MAX_ISSUES).await?;
    let mut folders = HashMap::new();
    let mut issues = Vec::with_capacity(rows.len());
    for row in rows {
        let path = path_in_drive(ctx, source.key, &row, &mut folders).await?;
        let failure = row.failure.as_ref().filter(|failure| kept_from(failure, &named.run));
        let (reason, detail) = match failure {
            Some(failure) => (failure.reason.clone(), failure.detail.clone()),
            None => why(&row, path.is_some()),
        };
        let (attempts, next_attempt) =
            failure.map_or((0, None), |failure| (failure.attempts, failure.next_attempt));
        let path = path.unwrap_or_else(|| name_of(&row));
        issues.push(Issue { path, item_id: row.item.id, reason, detail, attempts, next_attempt });
    }
    Ok(issues)
}

/// Whether a failure is why a run left an item: it happened in that run, or an earlier one kept the run from trying.
pub(super) fn kept_from(failure: &Failure, run: &Run) -> bool {
    failure.run == run.key || failure.next_attempt.is_some_and(|time| time > run.create_time)
}

/// What a run found that only looks, from the number given on.
///
/// # Errors
/// [`OpError::RunNotFound`].
pub async fn findings(ctx: &Ctx, name: &RunName, from: i64, limit: u64) -> Result<Vec<Finding>, OpError> {
    let named = get(ctx, name).await?;
    Ok(findings::list(ctx.store.read(), named.run.key, from, limit).await?)
}

/// What a run that has ended came upon.
///
/// # Errors
/// When the database fails.
pub async fn notices(ctx: &Ctx, named: &NamedRun) -> Result<Vec<Notice>, OpError> {
    if named.run.end_time.is_none() {
        return Ok(Vec::new());
    }
    Ok(notices::list(ctx.store.read(), named.run.key, SHOWN_NOTICES).await?)
}

pub(super) fn why(row: &Row, parent_known: bool) -> (String, String) {
    let (reason, detail) = if row.item.work() == Work::Delete {
        (DELETION_HELD, "gone from the drive and not deleted here yet")
    } else if parent_known {
        ("PLACE_TAKEN", "another item lies where it belongs, or its folder could not be made")
    } else {
        ("PARENT_UNKNOWN", "the drive did not list the folder it lies in")
    };
    (reason.to_owned(), detail.to_owned())
}

pub(super) fn name_of(row: &Row) -> String {
    let desired = row.item.desired.as_ref().map(|desired| desired.name.clone());
    let applied = row.item.applied.as_ref().map(|applied| local_name::decode(&applied.name).into_owned());
    desired.or(applied).unwrap_or_default()
}

/// Deepest nesting that a path shows.
const MAX_DEPTH: usize = 200;

async fn path_in_drive(
    ctx: &Ctx,
    source: SourceKey,
    row: &Row,
    folders: &mut HashMap<String, Option<Row>>,
) -> Result<Option<String>, OpError> {
    let mut segments = vec![name_of(row)];
    let mut at = parent_of(row);
    for _ in 0..MAX_DEPTH {
        let Some(id) = at.take() else { return Ok(None) };
        if !folders.contains_key(&id) {
            let found = items::by_ids(ctx.store.read(), source, &[&id]).await?.remove(&id);
            folders.insert(id.clone(), found);
        }
        let Some(Some(folder)) = folders.get(&id) else { return Ok(None) };
        if folder.item.applied.as_ref().is_some_and(|applied| applied.kind == Kind::Root) {
            segments.reverse();
            return Ok(Some(segments.join("/")));
        }
        segments.push(name_of(folder));
        at = parent_of(folder);
    }
    Ok(None)
}

fn parent_of(row: &Row) -> Option<String> {
    let desired = row.item.desired.as_ref().map(|desired| desired.parent_id.clone());
    desired.or_else(|| row.item.applied.as_ref().map(|applied| applied.parent_id.clone()))
}

/// Whose runs a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only this tenant's.
    pub tenant: Option<ResourceId>,
    /// Only this source's.
    pub source: Option<ResourceId>,
}

/// Lists runs, newest first, before the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    ctx: &Ctx,
    scope: Scope,
    state: Option<RunState>,
    before: Option<RunKey>,
    limit: u64,
) -> Result<Vec<NamedRun>, OpError> {
    let conn = ctx.store.read();
    let filter = RunFilter { tenant: scope.tenant, source: scope.source, state };
    let found = runs::list(conn, &filter, before, limit).await?;
    let mut keys: Vec<SourceKey> = found.iter().map(|run| run.source).collect();
    keys.sort_unstable_by_key(|key| key.0);
    keys.dedup();
    let names: HashMap<SourceKey, SourceName> = sources::by_keys(conn, &keys)
        .await?
        .into_iter()
        .map(|source| (source.key, source.spec.name))
        .collect();
    Ok(found
        .into_iter()
        .filter_map(|run| {
            let source = names.get(&run.source)?;
            let name = RunName::new(source.tenant().clone(), source.source().clone(), run.id.clone());
            Some(NamedRun { name, run })
        })
        .collect())
}
