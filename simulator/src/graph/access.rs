//! Who calls: the bearer token, the faults that spoil it, and the fences that answers put up.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::error::GraphError;
use super::route::{Route, Target};
use super::{Call, items};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::spec::DriveKind;
use crate::entra::ledger::access::{Access, AccessRefusal};
use crate::faults::{FaultKind, RetryAfter};
use crate::throttle::{CallerKey, Requester};
use crate::world::World;

/// Longest wait an answer can put up as a fence, in seconds.
const MAX_FENCE_SECONDS: u64 = 86_400;

/// Scopes that allow writing files.
const WRITING: [&str; 6] = [
    "Files.ReadWrite",
    "Files.ReadWrite.All",
    APP_FOLDER,
    "Sites.ReadWrite.All",
    "Sites.Manage.All",
    "Sites.FullControl.All",
];
/// The scope for the folder of the application alone.
const APP_FOLDER: &str = "Files.ReadWrite.AppFolder";

/// Who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The tenant.
    pub(crate) tid: String,
    /// The application.
    pub(crate) client_id: String,
    /// Object id of the user; none for an application that acts for itself.
    pub(crate) oid: Option<String>,
    access: Access,
    token: String,
}

impl Caller {
    /// Whether the scopes of the caller allow this kind of request.
    pub(super) fn permit(&self, route: &Route, endpoint: Endpoint) -> Result<(), GraphError> {
        let allowed = match (route, endpoint) {
            (Route::Batch | Route::Person(_), _) => true,
            (_, Endpoint::Write | Endpoint::Upload) => {
                WRITING.iter().any(|name| self.access.scopes.has(name))
            }
            _ => self.access.scopes.may_read_files() || self.access.scopes.has(APP_FOLDER),
        };
        if allowed { Ok(()) } else { Err(GraphError::access_denied()) }
    }

    /// Whether the caller owns the drive, may see everything in the tenant, or the drive is a library of everybody's.
    pub(super) fn owns(&self, drive: &Drive) -> bool {
        let library = drive.ids.kind() == DriveKind::DocumentLibrary;
        library || self.oid.as_ref().is_none_or(|oid| *oid == drive.owner.oid)
    }

    /// Whether a scope was granted.
    pub(super) fn may(&self, scope: &str) -> bool {
        self.access.scopes.has(scope)
    }

    /// Who is subject to limits.
    pub(crate) fn requester(&self) -> Requester {
        Requester { key: self.key(), user: self.oid.clone() }
    }

    /// Who is limited together with this caller.
    pub(crate) fn key(&self) -> CallerKey {
        (self.tid.clone(), self.client_id.clone())
    }
}

/// The caller of a request, if its bearer token is good.
pub(super) fn check(world: &World, headers: &HeaderMap) -> Result<Caller, GraphError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(|| GraphError::unauthenticated("Access token is empty."))?;
    let checked = world.entra.ledger().check_access(token, world.clock.now_ms());
    let access = checked.map_err(|(refusal, refused_before)| {
        if refused_before {
            world.note(
                ViolationKind::RefusedTokenReused,
                "an access token was used again after it had been refused",
            );
        }
        match refusal {
            AccessRefusal::Unknown => {
                GraphError::unauthenticated("CompactToken parsing failed with error code: 80049217")
            }
            AccessRefusal::Expired => {
                GraphError::unauthenticated("Lifetime validation failed, the token is expired.")
            }
            AccessRefusal::Revoked => GraphError::unauthenticated("Access token has been revoked."),
            AccessRefusal::ClaimsWanted => GraphError::claims_wanted(),
        }
    })?;
    Ok(Caller {
        tid: access.tid.clone(),
        client_id: access.client_id.clone(),
        oid: access.oid.clone(),
        access,
        token: token.to_owned(),
    })
}

/// Somebody who does not own the drive may read what is shared, and nothing else.
pub(super) fn check_guest(
    caller: &Caller,
    reads: bool,
    drive: &Drive,
    target: &Target,
) -> Result<(), GraphError> {
    if caller.owns(drive) {
        return Ok(());
    }
    let item = match target {
        Target::Item(item)
        | Target::Children(item)
        | Target::Content(item)
        | Target::Delta { item, .. }
        | Target::Search(item, _)
        | Target::Versions(item, _) => item,
        Target::Drive | Target::Action(..) | Target::SharedWithMe => return Err(GraphError::access_denied()),
    };
    let shared = items::locate(drive, item).is_some_and(|slot| drive.tree().is_shared(slot));
    match (reads, target) {
        (true, _) if shared => Ok(()),
        // Personal drives say so of an upload into what may only be read (graph-behaviour §5.1).
        (false, Target::Content(_)) if drive.ids.kind() == DriveKind::Personal => {
            Err(GraphError::item_not_found())
        }
        _ => Err(GraphError::access_denied()),
    }
}

/// Remembers that an answer told its caller to wait: 429 everywhere, 503 with this drive (graph-behaviour §7).
pub(super) fn remember_fence(world: &World, caller: &CallerKey, drive: Option<&str>, response: &Response) {
    let place = match response.status() {
        StatusCode::TOO_MANY_REQUESTS => None,
        StatusCode::SERVICE_UNAVAILABLE if drive.is_some() => drive,
        _ => return,
    };
    let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    if let Some(seconds) = header.and_then(|text| text.parse::<u64>().ok()) {
        world.throttle.fence(caller, place, seconds.min(MAX_FENCE_SECONDS), world.clock.now_ms());
    }
}

impl Call<'_> {
    /// The answer of a fault that replaces the real one.
    pub(super) fn faulty(&self) -> Option<Response> {
        let spoil = |refusal| self.world.entra.ledger().kill_access(&self.caller.token, refusal);
        let error = if self.hits.has(&FaultKind::Cae401) {
            spoil(AccessRefusal::ClaimsWanted);
            GraphError::claims_wanted()
        } else if self.hits.has(&FaultKind::TokenEarlyExpiry) {
            spoil(AccessRefusal::Expired);
            GraphError::unauthenticated("Access token has expired or is not yet valid.")
        } else if self.hits.has(&FaultKind::SiteLocked) {
            let message = "The site is locked.";
            GraphError::with_inner(423, "notAllowed", "resourceLocked", message)
        } else if self.hits.has(&FaultKind::Transient404) {
            GraphError::item_not_found()
        } else {
            return GraphError::on_demand(self.world, &self.hits).inspect(|_| self.fence_date());
        };
        Some(error.into_response(self.world))
    }

    /// A fence whose end was told as a date is put up here, where its length is still known.
    fn fence_date(&self) {
        let wait = self.hits.find(|kind| {
            let FaultKind::Status { status: 429, retry_after: Some(RetryAfter::HttpDate(seconds)), .. } =
                kind
            else {
                return None;
            };
            Some(*seconds)
        });
        if let Some(seconds) = wait {
            self.world.throttle.fence(&self.caller.key(), None, seconds, self.world.clock.now_ms());
        }
    }
}
