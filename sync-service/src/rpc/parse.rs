//! Reads the parts of requests that several RPCs share.

use std::time::Duration;

use proto::sync::v1 as pb;
use service_kit::{
    clock::{Timestamp, duration_from_proto},
    resource_name::ResourceId,
    status::Violations,
};

use crate::domain::{
    activity::{Activity, CurrentFile, SlowItem, Verification},
    baseline::Baseline,
    filter::{Filter, MAX_PATTERNS, Pattern},
    finding::{Finding, FindingKind},
    listing::{DEFAULT_FULL_INTERVAL, MAX_FULL_INTERVAL, MIN_FULL_INTERVAL},
    names::{RunName, SourceName, TenantName},
    run::{Notice, RunKind},
};

/// Longest text for people, in characters.
const MAX_DISPLAY_NAME: usize = 200;

/// Longest name of a limit that calls share, in characters.
const MAX_BUDGET: usize = 300;

/// The name of a source.
pub(super) fn source_name(field: &str, text: &str) -> Result<SourceName, tonic::Status> {
    let mut bad = Violations::new();
    let name = bad.check(field, SourceName::parse(text));
    bad.finish()?;
    name.ok_or_else(broken)
}

/// The name of a run.
pub(super) fn run_name(field: &str, text: &str) -> Result<RunName, tonic::Status> {
    let mut bad = Violations::new();
    let name = bad.check(field, RunName::parse(text));
    bad.finish()?;
    name.ok_or_else(broken)
}

/// `tenants/{tenant}`; nothing and `tenants/-` mean any.
pub(super) fn any_tenant(bad: &mut Violations, field: &str, text: &str) -> Option<ResourceId> {
    if text.is_empty() || text == "tenants/-" {
        return None;
    }
    bad.check(field, TenantName::parse(text)).map(|name| name.tenant().clone())
}

/// A kind of run that this version knows.
pub(super) fn run_kind(kind: i32) -> Option<RunKind> {
    match pb::RunKind::try_from(kind) {
        Ok(pb::RunKind::Sync) => Some(RunKind::Sync),
        Ok(pb::RunKind::Plan) => Some(RunKind::Plan),
        Ok(pb::RunKind::Verify) => Some(RunKind::Verify),
        Ok(pb::RunKind::Heal) => Some(RunKind::Heal),
        Ok(pb::RunKind::Unspecified) | Err(_) => None,
    }
}

/// Something that was found; `None` for a kind that this version does not know.
pub(super) fn finding(finding: pb::Finding) -> Option<Finding> {
    let kind = match finding.kind() {
        pb::FindingKind::MakeFolder => FindingKind::MakeFolder,
        pb::FindingKind::Move => FindingKind::Move,
        pb::FindingKind::Transfer => FindingKind::Transfer,
        pb::FindingKind::SetTime => FindingKind::SetTime,
        pb::FindingKind::Delete => FindingKind::Delete,
        pb::FindingKind::Keep => FindingKind::Keep,
        pb::FindingKind::Leave => FindingKind::Leave,
        pb::FindingKind::Missing => FindingKind::Missing,
        pb::FindingKind::Changed => FindingKind::Changed,
        pb::FindingKind::Extra => FindingKind::Extra,
        pb::FindingKind::WrongKind => FindingKind::WrongKind,
        pb::FindingKind::Unverifiable => FindingKind::Unverifiable,
        pb::FindingKind::Unspecified => return None,
    };
    Some(Finding {
        kind,
        path: finding.path,
        from_path: finding.from_path,
        size: finding.size.max(0),
        reason: finding.reason,
        detail: finding.detail,
    })
}

/// Text for people.
pub(super) fn display_name(bad: &mut Violations, field: &str, text: &str) {
    if text.chars().count() > MAX_DISPLAY_NAME {
        bad.add(field, format!("is longer than {MAX_DISPLAY_NAME} characters"));
    }
}

/// The name of a limit that calls share.
pub(super) fn budget(text: &str) -> Result<&str, String> {
    let fits = (1..=MAX_BUDGET).contains(&text.chars().count());
    if fits { Ok(text) } else { Err(format!("must have 1 to {MAX_BUDGET} characters")) }
}

/// A span within limits; absent means `default`.
pub(super) fn duration(
    bad: &mut Violations,
    field: &str,
    value: Option<&prost_types::Duration>,
    limits: std::ops::RangeInclusive<Duration>,
    default: Duration,
) -> Duration {
    let Some(value) = value else { return default };
    match duration_from_proto(value) {
        Some(duration) if limits.contains(&duration) => duration,
        _ => {
            let (low, high) = (limits.start().as_secs(), limits.end().as_secs());
            bad.add(field, format!("must be between {low} and {high} seconds"));
            default
        }
    }
}

/// What a worker is at; nothing in it is required, and negative numbers are none.
pub(super) fn activity(message: Option<pb::RunActivity>) -> Activity {
    let message = message.unwrap_or_default();
    let span = |span: Option<prost_types::Duration>| span.as_ref().and_then(duration_from_proto);
    Activity {
        current: message
            .current_files
            .into_iter()
            .map(|file| CurrentFile {
                path: file.path,
                size: file.size.max(0),
                received: file.bytes_received.max(0),
            })
            .collect(),
        slowest: message
            .slowest_items
            .into_iter()
            .map(|item| SlowItem {
                path: item.path,
                received: item.bytes_received.max(0),
                duration: span(item.duration).unwrap_or_default(),
            })
            .collect(),
        throttled_for: span(message.throttled_for).filter(|wait| !wait.is_zero()),
        requests_limit: u32::try_from(message.requests_limit).unwrap_or_default(),
        verification: message.verification.map(|verified| Verification {
            files_done: verified.files_done.max(0),
            bytes_done: verified.bytes_done.max(0),
            files: verified.files.max(0),
            bytes: verified.bytes.max(0),
        }),
    }
}

/// The time between full comparisons of a source; absent for the service's own.
pub(super) fn full_interval(bad: &mut Violations, value: Option<&prost_types::Duration>) -> Option<Duration> {
    let limits = MIN_FULL_INTERVAL..=MAX_FULL_INTERVAL;
    value.map(|value| {
        duration(bad, "source.full_listing_interval", Some(value), limits, DEFAULT_FULL_INTERVAL)
    })
}

/// What of a drive is mirrored.
pub(super) fn filter(bad: &mut Violations, filter: Option<pb::Filter>) -> Filter {
    let filter = filter.unwrap_or_default();
    let mut patterns = |field: &str, texts: Vec<String>| {
        if texts.len() > MAX_PATTERNS {
            bad.add(field, format!("holds more than {MAX_PATTERNS}"));
        }
        let texts = texts.iter().take(MAX_PATTERNS).enumerate();
        texts
            .filter_map(|(index, text)| bad.check(&format!("{field}[{index}]"), Pattern::parse(text)))
            .collect()
    };
    let include = patterns("source.filter.include", filter.include);
    let exclude = patterns("source.filter.exclude", filter.exclude);
    if filter.max_file_bytes < 0 {
        bad.add("source.filter.max_file_bytes", "must be 0 or more");
    }
    Filter { include, exclude, max_file_bytes: Some(filter.max_file_bytes).filter(|most| *most > 0) }
}

/// A violation was recorded and yet nothing is wrong: cannot happen, and is not worth a panic.
pub(super) fn broken() -> tonic::Status {
    tonic::Status::internal("internal error")
}

pub(super) fn file_state(file: pb::FileState) -> Baseline {
    Baseline {
        size: file.size,
        modified: file.modified_time.as_ref().and_then(Timestamp::from_proto),
        hash: Some(file.quick_xor_hash).filter(|hash| !hash.is_empty()),
    }
}

pub(super) fn notice(notice: pb::Notice) -> Notice {
    Notice { reason: notice.reason, path: notice.path, detail: notice.detail }
}
