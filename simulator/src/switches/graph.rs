//! Settings of drives, uploads, limits and subscriptions.

use serde::{Deserialize, Serialize};

/// Settings of drives and their items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a habit of the service by itself, and tests turn them on one at a time"
)]
pub struct GraphSwitches {
    /// Milliseconds for which something new is not found by id and path, although it exists (graph-behaviour §3).
    pub visibility_lag_milliseconds: u64,
    /// Paths are matched without regard to case (graph-behaviour §1.1).
    pub case_insensitive_paths: bool,
    /// Shortcuts into other drives are listed only with `Prefer: Include-Feature=AddToOneDrive` (graph-behaviour §2.6).
    pub remote_item_requires_prefer: bool,
    /// `/me/drives` of a personal account lists drives that cannot be opened (graph-behaviour §1.1).
    pub phantom_drives: bool,
    /// Names are told percent-encoded (graph-behaviour §1.3).
    pub url_encoded_names: bool,
    /// Ids of personal drives lose their leading zeros in answers (graph-behaviour §1.2).
    pub truncate_drive_id: bool,
    /// Ids of personal drives change their case from answer to answer (graph-behaviour §1.2).
    pub mixed_case_drive_id: bool,
    /// A new folder is answered without a body (graph-behaviour §3).
    pub mkdir_empty_body: bool,
    /// A new folder is answered with 200 instead of 201 (graph-behaviour §3).
    pub mkdir_answers_200: bool,
    /// Milliseconds for which the feed of a new folder of a personal drive is 404 (graph-behaviour §2.1).
    pub folder_delta_lag_milliseconds: u64,
    /// What is said of somebody who has no drive.
    pub no_drive: NoDrive,
    /// A download link answers a range with 416 when the request has no `Accept` (graph-behaviour §4.3).
    pub range_needs_accept: bool,
    /// `$select=content.downloadUrl` is answered under `@content.downloadUrl` (graph-behaviour §2.5).
    pub select_download_url_key: bool,
    /// What the download of an infected file is answered with.
    pub malware: MalwareAnswer,
    /// Bytes a drive may hold; what goes beyond is refused with 507 (graph-behaviour §5.2).
    pub quota_bytes: u64,
    /// Ends of names of files that SharePoint rewrites when they are uploaded to a library (graph-behaviour §5.3).
    pub enriched_name_ends: Vec<String>,
    /// What a drive tells of its quota.
    pub quota_told: QuotaTold,
    /// Seconds a copy takes (graph-behaviour §3).
    pub copy_seconds: u64,
    /// The state of a copy that is done is answered with 303 and the address of the new item (graph-behaviour §3).
    pub copy_ends_with_303: bool,
    /// Ids of applications that mirror: the critic notes every write of theirs.
    pub mirror_clients: Vec<String>,
}

impl Default for GraphSwitches {
    fn default() -> Self {
        Self {
            visibility_lag_milliseconds: 0,
            case_insensitive_paths: true,
            remote_item_requires_prefer: true,
            phantom_drives: false,
            url_encoded_names: false,
            truncate_drive_id: false,
            mixed_case_drive_id: false,
            mkdir_empty_body: false,
            mkdir_answers_200: false,
            folder_delta_lag_milliseconds: 0,
            no_drive: NoDrive::default(),
            range_needs_accept: false,
            select_download_url_key: false,
            malware: MalwareAnswer::Code,
            quota_bytes: 1 << 40,
            enriched_name_ends: Vec::new(),
            quota_told: QuotaTold::default(),
            copy_seconds: 0,
            copy_ends_with_303: false,
            mirror_clients: Vec::new(),
        }
    }
}

/// What the download of an infected file is answered with (graph-behaviour §4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MalwareAnswer {
    /// 403 with the code `malwareDetected`.
    #[default]
    Code,
    /// 403 with the header `X-Virus-Infected`.
    Header,
}

/// What is said of somebody who has no drive (graph-behaviour §1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoDrive {
    /// 404: the user's site was not found.
    #[default]
    NotFound,
    /// 404: the address of the user's site was not found.
    NoAddress,
    /// 400: the tenant has no licence for SharePoint. That it is 400 is an assumption.
    NoLicence,
}

/// What a drive tells of its quota (graph-behaviour §1.1). Limits hold in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaTold {
    /// Everything.
    #[default]
    Whole,
    /// That nothing is there and nothing is left, as shared and restricted drives do.
    Zero,
    /// Nothing.
    Absent,
}

/// Settings of upload sessions (graph-behaviour §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadSwitches {
    /// Seconds a session of a business drive lives after its last chunk.
    pub session_seconds: u64,
    /// Seconds a session lives at most.
    pub session_hard_seconds: u64,
    /// Seconds a session of a personal drive lives.
    pub personal_session_seconds: u64,
    /// A second session for a name is refused with 409 while the first one lives.
    pub refuse_second_session: bool,
    /// The last chunk is answered without a body.
    pub final_empty_body: bool,
}

impl Default for UploadSwitches {
    fn default() -> Self {
        Self {
            session_seconds: 900,
            session_hard_seconds: 86_400,
            personal_session_seconds: 3 * 86_400,
            refuse_second_session: false,
            final_empty_body: false,
        }
    }
}

/// Limits beside the resource units per minute (graph-behaviour §7). None of them holds unless it is set here, or `licences` is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSwitches {
    /// Whatever is not set by itself is as documented for a tenant with so many licences.
    pub licences: Option<u32>,
    /// Resource units one app may use per day in one tenant.
    pub resource_units_per_day: Option<u32>,
    /// Resource units all apps together may use in five minutes in one tenant.
    pub tenant_resource_units_per_five_minutes: Option<u32>,
    /// Requests one app may make in ten seconds in all tenants together.
    pub app_requests_per_ten_seconds: Option<u32>,
    /// Requests one user may make in five minutes.
    pub user_requests_per_five_minutes: Option<u32>,
    /// Access tokens one user may ask for in five minutes, by refresh tokens and authorization codes.
    pub user_token_requests_per_five_minutes: Option<u32>,
    /// Bytes one app may upload per hour in one tenant.
    pub ingress_bytes_per_hour: Option<u64>,
    /// Bytes one app may download per hour in one tenant.
    pub egress_bytes_per_hour: Option<u64>,
    /// Bytes one user may upload per hour.
    pub user_ingress_bytes_per_hour: Option<u64>,
    /// Bytes one user may download per hour.
    pub user_egress_bytes_per_hour: Option<u64>,
    /// Refused calls count like others.
    pub refused_calls_count: bool,
    /// `RateLimit-*` headers for applications that act for themselves, once 80 % of a minute's units are used.
    pub rate_limit_headers: bool,
    /// After so many calls within the time a 429 told to wait, an app gets 503 for everything, until the control interface lifts it.
    pub block_after_ignored: Option<u32>,
}

/// Settings of subscriptions (graph-behaviour §8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionSwitches {
    /// How often each notification is sent.
    pub copies: u32,
    /// Milliseconds between a change and its notification; changes in between are told together.
    pub delay_milliseconds: u64,
}

impl Default for SubscriptionSwitches {
    fn default() -> Self {
        Self { copies: 1, delay_milliseconds: 0 }
    }
}
