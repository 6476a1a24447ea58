//! What programs get as JSON, in forms of our own: the field names stay whatever becomes of the contract's messages. Absent
//! values are `null`, states are the contract's names without their prefix, times are RFC 3339.

mod finding;

use indicatif::HumanCount;
use proto::{
    sync::v1::{self as sync, source::Destination},
    token::v1 as token,
};
use serde::Serialize;
use service_kit::clock::{Timestamp, duration_from_proto};

pub use self::finding::{Finding, FindingCount};

/// A connected account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Resource name.
    pub name: String,
    /// Text for people.
    pub display_name: String,
    /// `ACTIVE`, `NEEDS_REAUTH`, `BLOCKED` or `REVOKED`.
    pub state: String,
    /// Why it is not active.
    pub state_cause: Option<String>,
    /// Since when it is in this state.
    pub state_time: Option<String>,
    /// Identity provider.
    pub provider: String,
    /// Client id of the app registration.
    pub client_id: String,
    /// `HEALTHY` or `MISCONFIGURED`, where known.
    pub app_health: Option<String>,
    /// Sign-in name of the account.
    pub username: Option<String>,
    /// Directory of the account.
    pub directory_id: Option<String>,
    /// Scopes it was made with.
    pub scopes: Vec<String>,
    /// When it was made.
    pub create_time: Option<String>,
    /// When its refresh token was last exchanged.
    pub refresh_time: Option<String>,
    /// `KNOWN`, or `UNKNOWN` when the answer to its last refresh was lost.
    pub refresh_outcome: Option<String>,
}

impl From<token::Connection> for Connection {
    fn from(proto: token::Connection) -> Self {
        let state = proto.state().as_str_name();
        let app_health = proto.app_health().as_str_name();
        let refresh_outcome = proto.refresh_outcome().as_str_name();
        let account = proto.account.clone().unwrap_or_default();
        Self {
            state: without_prefix(state, "CONNECTION_STATE_"),
            app_health: filled(without_prefix(app_health, "APP_HEALTH_"))
                .filter(|health| health != UNSPECIFIED),
            state_cause: filled(proto.state_cause),
            state_time: instant(proto.state_time.as_ref()),
            provider: proto.provider,
            client_id: proto.client_id,
            username: filled(account.username),
            directory_id: filled(account.directory_id),
            scopes: proto.scopes,
            create_time: instant(proto.create_time.as_ref()),
            refresh_time: instant(proto.refresh_time.as_ref()),
            refresh_outcome: filled(without_prefix(refresh_outcome, "REFRESH_OUTCOME_"))
                .filter(|outcome| outcome != UNSPECIFIED),
            name: proto.name,
            display_name: proto.display_name,
        }
    }
}

/// A state change that a webhook endpoint does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookDelivery {
    /// The endpoint's id.
    pub endpoint: String,
    /// `PENDING` or `GIVEN_UP`.
    pub state: String,
    /// The connection that changed.
    pub connection: String,
    /// `webhook-id` of its messages, as long as the change is kept.
    pub webhook_id: Option<String>,
    /// Type of the event, as long as the change is kept.
    pub event_type: Option<String>,
    /// When the connection changed, as long as that is kept.
    pub change_time: Option<String>,
    /// Attempts that failed.
    pub attempts: i32,
    /// What the last attempt came to.
    pub last_failure: Option<String>,
    /// When it is tried again.
    pub next_attempt_time: Option<String>,
    /// When it was given up.
    pub give_up_time: Option<String>,
}

impl From<token::WebhookDelivery> for WebhookDelivery {
    fn from(proto: token::WebhookDelivery) -> Self {
        Self {
            state: without_prefix(proto.state().as_str_name(), "WEBHOOK_DELIVERY_STATE_"),
            endpoint: proto.endpoint,
            connection: proto.connection,
            webhook_id: filled(proto.webhook_id),
            event_type: filled(proto.event_type),
            change_time: instant(proto.change_time.as_ref()),
            attempts: proto.attempts,
            last_failure: filled(proto.last_failure),
            next_attempt_time: instant(proto.next_attempt_time.as_ref()),
            give_up_time: instant(proto.give_up_time.as_ref()),
        }
    }
}

/// A drive and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Resource name.
    pub name: String,
    /// Text for people.
    pub display_name: String,
    /// `IDLE`, `RUNNING`, `FAILING`, `NEEDS_PERSON` or `SUSPENDED`.
    pub state: String,
    /// The connection that reads the drive.
    pub connection: String,
    /// The drive as Graph addresses it.
    pub drive: String,
    /// The folder it goes to.
    pub local_folder: Option<String>,
    /// Time between runs, in seconds.
    pub interval_seconds: Option<u64>,
    /// Time between full comparisons, in seconds; absent for the service's own.
    pub full_listing_interval_seconds: Option<u64>,
    /// Patterns of what is mirrored; none for everything.
    pub include: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Size of the largest file that is mirrored.
    pub max_file_bytes: Option<i64>,
    /// When the next run is due.
    pub next_run_time: Option<String>,
    /// The newest run.
    pub latest_run: Option<String>,
    /// When it was made.
    pub create_time: Option<String>,
}

impl From<sync::Source> for Source {
    fn from(proto: sync::Source) -> Self {
        let state = proto.state().as_str_name();
        let filter = proto.filter.unwrap_or_default();
        Self {
            state: without_prefix(state, "SOURCE_STATE_"),
            local_folder: proto.destination.map(|Destination::LocalFolder(folder)| folder.path),
            interval_seconds: proto
                .interval
                .as_ref()
                .and_then(duration_from_proto)
                .map(|span| span.as_secs()),
            full_listing_interval_seconds: proto
                .full_listing_interval
                .as_ref()
                .and_then(duration_from_proto)
                .map(|span| span.as_secs()),
            max_file_bytes: Some(filter.max_file_bytes).filter(|most| *most > 0),
            include: filter.include,
            exclude: filter.exclude,
            next_run_time: instant(proto.next_run_time.as_ref()),
            latest_run: filled(proto.latest_run),
            create_time: instant(proto.create_time.as_ref()),
            name: proto.name,
            display_name: proto.display_name,
            connection: proto.connection,
            drive: proto.drive,
        }
    }
}

/// One pass over a source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Resource name.
    pub name: String,
    /// `RUNNING`, `SUCCEEDED`, `PARTIAL`, `FAILED`, `NEEDS_PERSON` or `CANCELLED`.
    pub state: String,
    /// `SYNC`; `PLAN` or `VERIFY` for one that only looks; `HEAL`.
    pub kind: String,
    /// `LISTING`, `APPLYING`, `WAITING` or `VERIFYING`.
    pub phase: Option<String>,
    /// Machine-readable reason when it did not succeed.
    pub reason: Option<String>,
    /// One sentence that goes with the reason.
    pub detail: Option<String>,
    /// When it started.
    pub create_time: Option<String>,
    /// When it ended.
    pub end_time: Option<String>,
    /// Seconds from start to end.
    pub duration_seconds: Option<f64>,
    /// Why it lists what it lists: `CHANGES`, `FIRST`, `PERIODIC`, `LINK_EXPIRED` or `LINK_UNUSABLE`.
    pub listing_cause: Option<String>,
    /// What it did.
    pub stats: RunStats,
    /// How much it found, where it only looks.
    pub finding_counts: Vec<FindingCount>,
    /// Items that could not be finished.
    pub issues: Vec<ItemIssue>,
    /// What is not the drive's and was kept.
    pub notices: Vec<Notice>,
    /// How far the verification is, or came.
    pub verification: Option<Verification>,
    /// Files being transferred or verified.
    pub current_files: Vec<CurrentFile>,
    /// Files whose transfer took longest.
    pub slowest_items: Vec<SlowItem>,
    /// Seconds that the provider asked to wait.
    pub throttled_seconds: Option<f64>,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Files that are verified.
    pub files_done: i64,
    /// Bytes of those, and what was read of files under way.
    pub bytes_done: i64,
    /// Files that the destination should have.
    pub files: i64,
    /// Bytes of those.
    pub bytes: i64,
}

/// A file being transferred or verified.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurrentFile {
    /// Path at the destination.
    pub path: String,
    /// Listed size in bytes.
    pub size: i64,
    /// Bytes that came by now.
    pub bytes_received: i64,
}

/// A file whose transfer took long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowItem {
    /// Path at the destination.
    pub path: String,
    /// Bytes that came.
    pub bytes_received: i64,
    /// How long it took.
    pub seconds: f64,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunStats {
    /// Pages of the delta feed stored.
    pub pages: i64,
    /// Items on those pages.
    pub items_listed: i64,
    /// Folders made.
    pub folders_made: i64,
    /// Files and folders moved or renamed without transferring them.
    pub items_moved: i64,
    /// Files transferred.
    pub files_transferred: i64,
    /// Bytes of those files.
    pub bytes_transferred: i64,
    /// Files and folders deleted.
    pub items_deleted: i64,
    /// Items that failed.
    pub items_failed: i64,
    /// Deletions held back until somebody approves them.
    pub deletions_held: i64,
    /// Requests sent to Graph, retries and downloads included.
    pub graph_requests: i64,
    /// Files and folders that are not the drive's, or were changed at the destination, and were kept.
    pub local_kept: i64,
}

/// Something at the destination that is not the drive's, or was changed there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Machine-readable reason.
    pub reason: String,
    /// Where it lies.
    pub path: String,
    /// One sentence for people.
    pub detail: String,
}

/// An item that could not be finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemIssue {
    /// Path in the drive.
    pub path: String,
    /// The drive item's id.
    pub item_id: String,
    /// Machine-readable reason.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
    /// Attempts that failed in a row.
    pub attempts: i32,
    /// Runs that start earlier leave the item alone, unless it changes.
    pub next_attempt_time: Option<String>,
}

impl From<sync::Notice> for Notice {
    fn from(proto: sync::Notice) -> Self {
        Self { reason: proto.reason, path: proto.path, detail: proto.detail }
    }
}

impl From<sync::ItemIssue> for ItemIssue {
    fn from(proto: sync::ItemIssue) -> Self {
        Self {
            path: proto.path,
            item_id: proto.item_id,
            reason: proto.reason,
            detail: proto.detail,
            attempts: proto.attempts,
            next_attempt_time: instant(proto.next_attempt_time.as_ref()),
        }
    }
}

impl From<sync::Run> for Run {
    fn from(proto: sync::Run) -> Self {
        let state = proto.state().as_str_name();
        let phase = proto.phase().as_str_name();
        let listing = proto.listing_cause().as_str_name();
        let kind = proto.kind().as_str_name();
        let did = proto.stats.unwrap_or_default();
        let activity = proto.activity.unwrap_or_default();
        Self {
            state: without_prefix(state, "RUN_STATE_"),
            phase: filled(without_prefix(phase, "RUN_PHASE_")).filter(|phase| phase != UNSPECIFIED),
            kind: without_prefix(kind, "RUN_KIND_"),
            finding_counts: proto.finding_counts.into_iter().map(FindingCount::from).collect(),
            duration_seconds: duration(proto.create_time.as_ref(), proto.end_time.as_ref()),
            create_time: instant(proto.create_time.as_ref()),
            end_time: instant(proto.end_time.as_ref()),
            name: proto.name,
            listing_cause: filled(without_prefix(listing, "LISTING_CAUSE_"))
                .filter(|cause| cause != UNSPECIFIED),
            reason: filled(proto.reason),
            detail: filled(proto.detail),
            stats: RunStats {
                pages: did.pages,
                items_listed: did.items_listed,
                folders_made: did.folders_made,
                items_moved: did.items_moved,
                files_transferred: did.files_transferred,
                bytes_transferred: did.bytes_transferred,
                items_deleted: did.items_deleted,
                items_failed: did.items_failed,
                deletions_held: did.deletions_held,
                graph_requests: did.graph_requests,
                local_kept: did.local_kept,
            },
            notices: proto.notices.into_iter().map(Notice::from).collect(),
            verification: activity.verification.map(|verified| Verification {
                files_done: verified.files_done,
                bytes_done: verified.bytes_done,
                files: verified.files,
                bytes: verified.bytes,
            }),
            current_files: activity
                .current_files
                .into_iter()
                .map(|file| CurrentFile {
                    path: file.path,
                    size: file.size,
                    bytes_received: file.bytes_received,
                })
                .collect(),
            slowest_items: activity
                .slowest_items
                .into_iter()
                .map(|item| SlowItem {
                    path: item.path,
                    bytes_received: item.bytes_received,
                    seconds: seconds(item.duration.as_ref()).unwrap_or_default(),
                })
                .collect(),
            throttled_seconds: seconds(activity.throttled_for.as_ref()),
            issues: proto.issues.into_iter().map(ItemIssue::from).collect(),
        }
    }
}

/// What a state is called when this version does not know it.
const UNSPECIFIED: &str = "UNSPECIFIED";

/// A state for people: `NEEDS_REAUTH` becomes `needs reauth`.
pub fn in_words(state: &str) -> String {
    state.to_lowercase().replace('_', " ")
}

/// A count as it is shown: signed on the wire, never below zero.
pub fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A count with what is counted: `1 page`, `2 pages`.
pub fn counted(number: i64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(count(number)))
}

/// What a listing has brought so far.
pub fn listed(items: i64, pages: i64) -> String {
    format!("{} on {}", counted(items, "item"), counted(pages, "page"))
}

fn without_prefix(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn instant(proto: Option<&prost_types::Timestamp>) -> Option<String> {
    proto.and_then(Timestamp::from_proto).map(|instant| instant.to_string())
}

fn seconds(proto: Option<&prost_types::Duration>) -> Option<f64> {
    proto.and_then(duration_from_proto).map(|span| span.as_secs_f64())
}

fn duration(start: Option<&prost_types::Timestamp>, end: Option<&prost_types::Timestamp>) -> Option<f64> {
    let (start, end) = (Timestamp::from_proto(start?)?, Timestamp::from_proto(end?)?);
    Some(end.duration_since(start).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_its_field_names() {
        let connection = Connection::from(token::Connection {
            name: "tenants/acme/connections/mail".to_owned(),
            state: token::ConnectionState::NeedsReauth.into(),
            state_cause: "invalid_grant".to_owned(),
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            refresh_outcome: token::RefreshOutcome::Unknown.into(),
            ..token::Connection::default()
        });
        let json = serde_json::to_value(connection).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "tenants/acme/connections/mail", "display_name": "", "state": "NEEDS_REAUTH",
                "state_cause": "invalid_grant", "state_time": null, "provider": "", "client_id": "", "app_health": null,
                "username": null, "directory_id": null, "scopes": [], "create_time": "1970-01-01T00:00:00.000Z",
                "refresh_time": null, "refresh_outcome": "UNKNOWN",
            })
        );
    }

    #[test]
    fn a_run_says_how_long_it_took() {
        let run = Run::from(sync::Run {
            state: sync::RunState::Succeeded.into(),
            create_time: Some(prost_types::Timestamp { seconds: 10, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 12, nanos: 500_000_000 }),
            ..sync::Run::default()
        });
        assert_eq!((run.duration_seconds, run.state.as_str(), run.phase), (Some(2.5), "SUCCEEDED", None));
    }

    #[test]
    fn a_state_of_a_newer_service_is_not_mistaken() {
        let run = Run::from(sync::Run { state: 99, ..sync::Run::default() });
        assert_eq!(run.state, UNSPECIFIED);
        assert_eq!(in_words("NEEDS_PERSON"), "needs person");
    }
}
