//! Domain values as messages.

use std::path::Path;

use proto::sync::v1 as pb;
use service_kit::{clock::Timestamp, clock::duration_to_proto};

use crate::{
    domain::{
        action::{Action, ActionToken, ActionTokenError, Step},
        activity::Activity,
        baseline::Baseline,
        filter::{Filter, Pattern},
        finding::{Finding, FindingKind},
        item::{Item, Kind},
        listing::ListingCause,
        run::{Notice, RunKind, RunPhase, RunState},
        source::{Destination, Health, Source},
    },
    ops::{
        plan_run::Planned,
        runs::{Issue, NamedRun},
    },
};

pub(super) fn source(source: &Source, now: Timestamp) -> pb::Source {
    let name = &source.spec.name;
    let Destination::LocalFolder(path) = &source.spec.destination;
    let latest_run = source.latest_run.as_ref().map(|run| format!("{name}/runs/{run}")).unwrap_or_default();
    pb::Source {
        name: name.to_string(),
        display_name: source.spec.display_name.clone(),
        connection: source.spec.connection.to_string(),
        drive: source.spec.drive.to_string(),
        destination: Some(pb::source::Destination::LocalFolder(local_folder(path))),
        interval: Some(duration_to_proto(source.spec.interval)),
        suspended: source.spec.suspended,
        state: source_state(source, now).into(),
        next_run_time: Some(source.next_run_time.to_proto()),
        latest_run,
        create_time: Some(source.create_time.to_proto()),
        filter: Some(&source.spec.filter).filter(|filter| !filter.is_empty()).map(filter),
        full_listing_interval: source.spec.full_interval.map(duration_to_proto),
    }
}

fn filter(filter: &Filter) -> pb::Filter {
    let texts = |patterns: &[Pattern]| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    pb::Filter {
        include: texts(&filter.include),
        exclude: texts(&filter.exclude),
        max_file_bytes: filter.max_file_bytes.unwrap_or_default(),
    }
}

fn local_folder(path: &Path) -> pb::LocalFolder {
    pb::LocalFolder { path: path.to_string_lossy().into_owned() }
}

fn source_state(source: &Source, now: Timestamp) -> pb::SourceState {
    match source.health {
        _ if source.lease.is_held(now) => pb::SourceState::Running,
        _ if source.spec.suspended => pb::SourceState::Suspended,
        Health::Good => pb::SourceState::Idle,
        Health::Failing => pb::SourceState::Failing,
        Health::NeedsPerson => pb::SourceState::NeedsPerson,
    }
}

pub(super) fn run(named: &NamedRun, issues: &[Issue], notices: Vec<Notice>) -> pb::Run {
    let run = &named.run;
    let counts = &run.counts;
    pb::Run {
        name: named.name.to_string(),
        state: run_state(run.state).into(),
        phase: match run.phase {
            RunPhase::Listing => pb::RunPhase::Listing,
            RunPhase::Applying => pb::RunPhase::Applying,
            RunPhase::Waiting => pb::RunPhase::Waiting,
            RunPhase::Verifying => pb::RunPhase::Verifying,
        }
        .into(),
        reason: run.reason.clone(),
        detail: run.detail.clone(),
        create_time: Some(run.create_time.to_proto()),
        end_time: run.end_time.map(Timestamp::to_proto),
        listing_cause: match run.listing {
            ListingCause::Changes => pb::ListingCause::Changes,
            ListingCause::First => pb::ListingCause::First,
            ListingCause::Periodic => pb::ListingCause::Periodic,
            ListingCause::LinkExpired => pb::ListingCause::LinkExpired,
            ListingCause::LinkUnusable => pb::ListingCause::LinkUnusable,
        }
        .into(),
        stats: Some(pb::RunStats {
            pages: counts.pages,
            items_listed: counts.items_listed,
            folders_made: counts.done.folders_made,
            items_moved: counts.done.items_moved,
            files_transferred: counts.done.files_transferred,
            bytes_transferred: counts.done.bytes_transferred,
            items_deleted: counts.done.items_deleted,
            items_failed: counts.items_failed,
            graph_requests: counts.effort_before.graph_requests + counts.effort.graph_requests,
            files_planned: counts.files_planned,
            bytes_planned: counts.bytes_planned,
            deletions_held: counts.deletions_held,
            local_kept: counts.local_kept,
            bytes_received: counts.effort_before.bytes_received + counts.effort.bytes_received,
        }),
        kind: run_kind(run.kind).into(),
        finding_counts: run
            .findings
            .0
            .iter()
            .map(|(kind, count)| pb::FindingCount {
                kind: finding_kind(*kind).into(),
                items: count.items,
                bytes: count.bytes,
            })
            .collect(),
        activity: Some(activity(&run.activity)),
        issues: issues
            .iter()
            .map(|issue| pb::ItemIssue {
                path: issue.path.clone(),
                item_id: issue.item_id.clone(),
                reason: issue.reason.clone(),
                detail: issue.detail.clone(),
                attempts: i32::try_from(issue.attempts).unwrap_or(i32::MAX),
                next_attempt_time: issue.next_attempt.map(Timestamp::to_proto),
            })
            .collect(),
        notices: notices
            .into_iter()
            .map(|Notice { reason, path, detail }| pb::Notice { reason, path, detail })
            .collect(),
    }
}

fn activity(activity: &Activity) -> pb::RunActivity {
    pb::RunActivity {
        current_files: activity
            .current
            .iter()
            .map(|file| pb::CurrentFile {
                path: file.path.clone(),
                size: file.size,
                bytes_received: file.received,
            })
            .collect(),
        slowest_items: activity
            .slowest
            .iter()
            .map(|item| pb::SlowItem {
                path: item.path.clone(),
                bytes_received: item.received,
                duration: Some(duration_to_proto(item.duration)),
            })
            .collect(),
        throttled_for: activity.throttled_for.map(duration_to_proto),
        requests_limit: i32::try_from(activity.requests_limit).unwrap_or(i32::MAX),
        verification: activity.verification.map(|verified| pb::Verification {
            files_done: verified.files_done,
            bytes_done: verified.bytes_done,
            files: verified.files,
            bytes: verified.bytes,
        }),
    }
}

pub(super) fn run_kind(kind: RunKind) -> pb::RunKind {
    match kind {
        RunKind::Sync => pb::RunKind::Sync,
        RunKind::Plan => pb::RunKind::Plan,
        RunKind::Verify => pb::RunKind::Verify,
        RunKind::Heal => pb::RunKind::Heal,
    }
}

fn finding_kind(kind: FindingKind) -> pb::FindingKind {
    match kind {
        FindingKind::MakeFolder => pb::FindingKind::MakeFolder,
        FindingKind::Move => pb::FindingKind::Move,
        FindingKind::Transfer => pb::FindingKind::Transfer,
        FindingKind::SetTime => pb::FindingKind::SetTime,
        FindingKind::Delete => pb::FindingKind::Delete,
        FindingKind::Keep => pb::FindingKind::Keep,
        FindingKind::Leave => pb::FindingKind::Leave,
        FindingKind::Missing => pb::FindingKind::Missing,
        FindingKind::Changed => pb::FindingKind::Changed,
        FindingKind::Extra => pb::FindingKind::Extra,
        FindingKind::WrongKind => pb::FindingKind::WrongKind,
        FindingKind::Unverifiable => pb::FindingKind::Unverifiable,
    }
}

pub(super) fn finding(finding: Finding) -> pb::Finding {
    pb::Finding {
        kind: finding_kind(finding.kind).into(),
        path: finding.path,
        from_path: finding.from_path,
        size: finding.size,
        reason: finding.reason,
        detail: finding.detail,
    }
}

pub(super) fn planned(planned: Planned) -> pb::PlannedAction {
    let place = planned.place.map(|place| pb::Place {
        path: place.path,
        expected: place.expected.map(file_state),
        new_quick_xor_hash: place.new_hash,
    });
    pb::PlannedAction { finding: Some(finding(planned.finding)), place }
}

/// What the destination has of an item; nothing where it has none of it.
pub(super) fn applied_item(item: Item) -> Option<pb::AppliedItem> {
    let applied = item.applied?;
    let file = (applied.kind == Kind::File).then(|| file_state(applied.file));
    Some(pb::AppliedItem { item_id: item.id, name: applied.name, file })
}

fn run_state(state: RunState) -> pb::RunState {
    match state {
        RunState::Running => pb::RunState::Running,
        RunState::Succeeded => pb::RunState::Succeeded,
        RunState::Partial => pb::RunState::Partial,
        RunState::Failed => pb::RunState::Failed,
        RunState::NeedsPerson => pb::RunState::NeedsPerson,
        RunState::Cancelled => pb::RunState::Cancelled,
    }
}

pub(super) fn action(action: Action) -> Result<pb::Action, ActionTokenError> {
    let token = ActionToken::encode(&action.token)?;
    let kind = match action.step {
        Step::MakeFolder => pb::action::Kind::MakeFolder(pb::MakeFolder {}),
        Step::Move { from, expected } => {
            pb::action::Kind::Move(pb::Move { from, expected: expected.map(file_state) })
        }
        Step::PutContent { size, hash, modified, e_tag, expected, deletes_replaced } => {
            pb::action::Kind::PutContent(pb::PutContent {
                size,
                quick_xor_hash: hash.unwrap_or_default(),
                modified_time: modified.map(Timestamp::to_proto),
                e_tag,
                expected: expected.map(file_state),
                deletes_replaced,
            })
        }
        Step::SetTimes { modified, expected } => pb::action::Kind::SetTimes(pb::SetTimes {
            modified_time: Some(modified.to_proto()),
            expected: Some(file_state(expected)),
        }),
        Step::DeleteFile { expected } => {
            pb::action::Kind::DeleteFile(pb::DeleteFile { expected: Some(file_state(expected)) })
        }
        Step::DeleteFolder => pb::action::Kind::DeleteFolder(pb::DeleteFolder {}),
    };
    Ok(pb::Action { item_id: action.item_id, token, path: action.path, kind: Some(kind) })
}

fn file_state(file: Baseline) -> pb::FileState {
    pb::FileState {
        size: file.size,
        modified_time: file.modified.map(Timestamp::to_proto),
        quick_xor_hash: file.hash.unwrap_or_default(),
    }
}
