//! Whose drive it is: `/me`, `/users`, `/sites`, `/drives`, `/shares`; lists of drives and sites (graph-behaviour §1.1, §3).
//!
//! Every tenant has a root site without libraries and one team site with all of them, which is also the site of its one group.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::access::Caller;
use super::error::GraphError;
use super::route::{DriveRef, Route, SiteRef};
use super::{Call, drives, sharing};
use crate::drive::Drive;
use crate::drive::spec::DriveKind;
use crate::json;
use crate::mix::{Sequence, guid, text};
use crate::world::World;

/// The path of the team site.
const TEAM: &str = "/sites/team";
/// Ids of the drives that a personal account lists and cannot open begin so.
const PHANTOM: &str = "b!sim-phantom-";
/// Number of such drives.
const PHANTOMS: u32 = 2;

/// A route whose drive is known.
pub(super) struct Found {
    pub(super) route: Route,
    /// None for what is about no drive.
    pub(super) drive: Option<Arc<Drive>>,
}

impl Found {
    /// The id of the drive.
    pub(super) fn drive_id(&self) -> Option<String> {
        self.drive.as_ref().map(|drive| drive.ids.drive().to_owned())
    }
}

/// Finds the drive of a route.
pub(super) fn locate(world: &World, caller: &Caller, route: Route) -> Result<Found, GraphError> {
    match route {
        Route::InDrive { drive, target } => {
            let found = find_drive(world, caller, &drive)?;
            Ok(Found { route: Route::InDrive { drive, target }, drive: Some(found) })
        }
        Route::Shared { token, target } => {
            let (drive, target) = sharing::open(world, caller, &token, target)?;
            let by_id = DriveRef::Id(drive.ids.drive().to_owned());
            Ok(Found { route: Route::InDrive { drive: by_id, target }, drive: Some(drive) })
        }
        Route::Person(_)
        | Route::Drives(_)
        | Route::Site(_)
        | Route::Sites
        | Route::Groups(_)
        | Route::Subscriptions
        | Route::Subscription(_)
        | Route::Reauthorize(_)
        | Route::Batch => Ok(Found { route, drive: None }),
    }
}

fn find_drive(world: &World, caller: &Caller, wanted: &DriveRef) -> Result<Arc<Drive>, GraphError> {
    let none = || GraphError::no_drive(world.switches().graph.no_drive);
    match wanted {
        DriveRef::Mine => {
            let oid = caller.oid.as_ref().ok_or_else(GraphError::no_user)?;
            own(world, oid).into_iter().next().ok_or_else(none)
        }
        DriveRef::User(name) => {
            let user = world.user(name).filter(|user| user.tid == caller.tid).ok_or_else(none)?;
            let drive = own(world, &user.oid).into_iter().next().ok_or_else(none)?;
            if caller.owns(&drive) { Ok(drive) } else { Err(GraphError::access_denied()) }
        }
        DriveRef::Site(site) => {
            let drives = libraries(world, caller, site)?;
            drives.into_iter().next().ok_or_else(GraphError::item_not_found)
        }
        DriveRef::Group(id) => {
            let drives = group_libraries(world, caller, id)?;
            drives.into_iter().next().ok_or_else(GraphError::item_not_found)
        }
        DriveRef::Id(id) if id.starts_with(PHANTOM) => {
            Err(GraphError::invalid_request("ObjectHandle is Invalid"))
        }
        DriveRef::Id(id) => {
            let drive = world.drive(id).filter(|drive| drive.owner.tid == caller.tid);
            let drive = drive.ok_or_else(GraphError::item_not_found)?;
            // No application acts for itself on a personal drive (graph-behaviour §12).
            let alone = caller.oid.is_none() && drive.ids.kind() == DriveKind::Personal;
            if alone { Err(GraphError::access_denied()) } else { Ok(drive) }
        }
    }
}

/// The drives of a person, libraries excepted.
fn own(world: &World, oid: &str) -> Vec<Arc<Drive>> {
    let mut drives = world.drives();
    let has_own =
        drives.iter().any(|drive| drive.owner.oid == oid && drive.ids.kind() != DriveKind::DocumentLibrary);
    // A test that creates nothing but a library means it to be found.
    drives.retain(|drive| {
        drive.owner.oid == oid && (!has_own || drive.ids.kind() != DriveKind::DocumentLibrary)
    });
    drives
}

fn libraries(world: &World, caller: &Caller, site: &SiteRef) -> Result<Vec<Arc<Drive>>, GraphError> {
    if !is_team(world, &caller.tid, site)? {
        return Ok(Vec::new());
    }
    let mut drives = world.drives();
    drives.retain(|drive| drive.owner.tid == caller.tid && drive.ids.kind() == DriveKind::DocumentLibrary);
    Ok(drives)
}

/// The libraries of the group: those of its site.
fn group_libraries(world: &World, caller: &Caller, id: &str) -> Result<Vec<Arc<Drive>>, GraphError> {
    if !id.eq_ignore_ascii_case(&group_id(&caller.tid)) {
        return Err(GraphError::not_found("The group does not exist."));
    }
    libraries(world, caller, &SiteRef::Path(TEAM.to_owned()))
}

/// `GET /groups` and `GET /groups/{id}`: the one group of a tenant.
pub(super) fn groups(call: &Call<'_>, wanted: Option<&str>) -> Result<Response, GraphError> {
    let id = group_id(&call.caller.tid);
    let group = json!({"id": id, "displayName": "Team", "mailNickname": "team", "groupTypes": ["Unified"]});
    match wanted {
        None => Ok(json::response(StatusCode::OK, &json!({"value": [group]}))),
        Some(wanted) if wanted.eq_ignore_ascii_case(&id) => Ok(json::response(StatusCode::OK, &group)),
        Some(_) => Err(GraphError::not_found("The group does not exist.")),
    }
}

fn group_id(tid: &str) -> String {
    guid(Sequence::new(text(&format!("{tid}group"))).bytes())
}

/// Whether the team site is meant; false for the root site.
fn is_team(world: &World, tid: &str, site: &SiteRef) -> Result<bool, GraphError> {
    match site {
        SiteRef::Path(path) if path.eq_ignore_ascii_case(TEAM) => Ok(true),
        SiteRef::Path(path) if path == "/" => Ok(false),
        SiteRef::Id(id) if *id == site_id(world, tid, TEAM) => Ok(true),
        SiteRef::Id(id) if id == "root" || *id == host(world, tid) || *id == site_id(world, tid, "") => {
            Ok(false)
        }
        SiteRef::Path(_) | SiteRef::Id(_) => Err(GraphError::not_found("Requested site could not be found")),
    }
}

/// `GET …/drives`
pub(super) fn list_drives(call: &Call<'_>, owner: &DriveRef) -> Result<Response, GraphError> {
    let (world, caller) = (call.world, &call.caller);
    let drives = match owner {
        DriveRef::Site(site) => libraries(world, caller, site)?,
        DriveRef::Group(id) => group_libraries(world, caller, id)?,
        DriveRef::Mine => own(world, caller.oid.as_deref().ok_or_else(GraphError::no_user)?),
        DriveRef::User(name) => {
            let drives = world.user(name).map(|user| own(world, &user.oid)).unwrap_or_default();
            drives.into_iter().filter(|drive| caller.owns(drive)).collect()
        }
        DriveRef::Id(_) => return Err(GraphError::item_not_found()),
    };
    Ok(json::response(StatusCode::OK, &json!({"value": listed(call, &drives)})))
}

/// `GET /sites/{id}`
pub(super) fn answer(call: &Call<'_>, site: &SiteRef) -> Result<Response, GraphError> {
    let path = if is_team(call.world, &call.caller.tid, site)? { TEAM } else { "" };
    Ok(json::response(StatusCode::OK, &described(call.world, &call.caller.tid, path)))
}

/// `GET /sites?search=`
pub(super) fn search(call: &Call<'_>) -> Response {
    let wanted = call.query.get("search").unwrap_or("*").to_lowercase();
    let sites = ["", TEAM].map(|path| described(call.world, &call.caller.tid, path));
    let fits = |site: &Value| {
        let name = site.get("displayName").and_then(Value::as_str).unwrap_or_default();
        wanted == "*" || wanted.is_empty() || name.to_lowercase().contains(&wanted)
    };
    let value: Vec<Value> = sites.into_iter().filter(fits).collect();
    json::response(StatusCode::OK, &json!({"value": value}))
}

/// The drives, after those that a personal account lists and cannot open.
fn listed(call: &Call<'_>, drives: &[Arc<Drive>]) -> Vec<Value> {
    let personal = drives.iter().any(|drive| drive.ids.kind() == DriveKind::Personal);
    let phantoms = if personal && call.world.switches().graph.phantom_drives { PHANTOMS } else { 0 };
    let phantoms = (0..phantoms).map(|number| {
        json!({"id": format!("{PHANTOM}{number}"), "driveType": "personal", "name": "ODCMetadataArchive"})
    });
    phantoms.chain(drives.iter().map(|drive| drives::describe(call.world, drive))).collect()
}

fn described(world: &World, tid: &str, path: &str) -> Value {
    let name = if path == TEAM { "Team" } else { "Communication site" };
    json!({
        "id": site_id(world, tid, path),
        "name": path.rsplit('/').next().unwrap_or_default(),
        "displayName": name,
        "webUrl": format!("{}{path}", world.bases.graph),
        "siteCollection": {"hostname": host(world, tid)},
    })
}

/// The host a tenant's sites have at the real service.
fn host(world: &World, tid: &str) -> String {
    let tenant = world.tenants.iter().find(|tenant| tenant.id == tid);
    let domain = tenant.map_or("contoso", |tenant| tenant.domain.as_str());
    format!("{}.sharepoint.com", domain.split('.').next().unwrap_or_default())
}

fn site_id(world: &World, tid: &str, path: &str) -> String {
    let part = |salt: &str| guid(Sequence::new(text(&format!("{tid}{path}{salt}"))).bytes());
    format!("{},{},{}", host(world, tid), part("collection"), part("web"))
}

/// The address people find a drive under; no two drives have the same.
pub(super) fn web_url(world: &World, drive: &Drive) -> String {
    let base = &world.bases.graph;
    let number = drive.index;
    match drive.ids.kind() {
        DriveKind::DocumentLibrary => format!("{base}{TEAM}/Documents-{number}"),
        DriveKind::Business => {
            let owner: String = drive
                .owner
                .upn
                .chars()
                .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
                .collect();
            format!("{base}/personal/{owner}/Documents-{number}")
        }
        DriveKind::Personal => format!("{base}/personal/{}/Documents-{number}", drive.ids.drive()),
    }
}
