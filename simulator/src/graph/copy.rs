//! `POST …/items/{id}/copy` and the address that tells how far it is (graph-behaviour §3).

use std::collections::HashMap;
use std::sync::Mutex;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::conditions::{check_name, check_quota, refused};
use super::error::GraphError;
use super::items::find;
use super::route::ItemRef;
use super::update::Parent;
use super::{Call, upload};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::tree::Place;
use crate::json;
use crate::lock::lock;
use crate::transport::{self, Peer};
use crate::world::World;

/// Where the state of a copy is told.
pub(super) const PATH: &str = "/_api/v2.0/monitor/";
/// Seconds a client is told to wait before it asks again.
const POLL_SECONDS: u64 = 1;
/// Most copies remembered; beyond it all of them are forgotten.
const MAX_COPIES: usize = 10_000;

/// Copies that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    by_token: Mutex<HashMap<String, Job>>,
}

#[derive(Clone, Debug)]
struct Job {
    began_ms: u64,
    ends_ms: u64,
    asked_ms: Option<u64>,
    /// The new item, or the code of what went wrong.
    outcome: Result<Made, &'static str>,
}

#[derive(Clone, Debug)]
struct Made {
    id: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    name: Option<String>,
    parent_reference: Option<Parent>,
}

/// Copies an item. The copy is there at once; its state is told as if it took its time.
pub(super) fn answer(call: &Call<'_>, drive: &Drive, wanted: &ItemRef) -> Result<Response, GraphError> {
    let asked: Wanted = call.json()?;
    let (item, _) = find(call, drive, wanted)?;
    let other = match asked.parent_reference.as_ref().and_then(|parent| parent.drive_id.as_deref()) {
        Some(id) => Some(call.world.drive(id).ok_or_else(GraphError::item_not_found)?),
        None => None,
    };
    let target = other.as_deref().unwrap_or(drive);
    if !call.caller.owns(target) {
        return Err(GraphError::access_denied());
    }
    let parent = match &asked.parent_reference {
        Some(parent) => {
            let lag = call.world.switches().graph.visibility_lag_milliseconds;
            let known = parent.slot(target).ok();
            let known = known.filter(|slot| !call.is_fresh(&target.tree(), *slot, lag));
            known.ok_or_else(|| {
                GraphError::not_found("Failed to verify the existence of destination location")
            })?
        }
        None => item.parent,
    };
    let name = asked.name.as_deref().unwrap_or(&item.name);
    check_name(target, parent, name)?;
    check_quota(call.world, target, item.size, 0)?;
    let copied = drive.copied(item.slot).map_err(|error| refused(&error))?;
    let how = call.world.circumstances();
    let made = target.change(how, |tree| tree.paste(&Place { parent, name }, &copied, how.now));
    call.world.changed();
    let outcome = match made {
        Ok(slot) => {
            let id = target.ids.item(slot);
            let address = format!("{}/v1.0/drives/{}/items/{id}", call.world.bases.graph, target.ids.drive());
            Ok(Made { id, address })
        }
        Err(ChangeError::NameTaken) => Err("nameAlreadyExists"),
        Err(error) => return Err(refused(&error)),
    };
    let token = call.world.copies.begin(call.world, outcome);
    let mut response = StatusCode::ACCEPTED.into_response();
    let address = format!("{}{PATH}{token}", call.world.bases.downloads);
    if let Ok(value) = HeaderValue::try_from(address) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

impl Copies {
    fn begin(&self, world: &World, outcome: Result<Made, &'static str>) -> String {
        let token = world.secret();
        let began_ms = world.clock.now_ms();
        let ends_ms = began_ms.saturating_add(world.switches().graph.copy_seconds.saturating_mul(1_000));
        let mut jobs = lock(&self.by_token);
        if jobs.len() >= MAX_COPIES {
            jobs.clear();
        }
        jobs.insert(token.clone(), Job { began_ms, ends_ms, asked_ms: None, outcome });
        token
    }

    /// The job of a token, and how long ago it was asked for, in milliseconds.
    fn poll(&self, token: &str, now_ms: u64) -> Option<(Job, Option<u64>)> {
        let mut jobs = lock(&self.by_token);
        let job = jobs.get_mut(token)?;
        let since = job.asked_ms.replace(now_ms).map(|asked_ms| now_ms.saturating_sub(asked_ms));
        Some((job.clone(), since))
    }
}

/// Tells how far a copy is.
pub(super) async fn serve(world: &World, peer: &Peer, token: &str, headers: &HeaderMap) -> Response {
    world.counters.request(Endpoint::Monitor);
    let hits = world.faults.strike(Endpoint::Monitor, None);
    transport::respond(world, peer, &hits, async {
        if let Some(refusal) = upload::refuse_bearer(world, headers) {
            return refusal;
        }
        GraphError::on_demand(world, &hits).unwrap_or_else(|| state(world, token))
    })
    .await
}

fn state(world: &World, token: &str) -> Response {
    let now_ms = world.clock.now_ms();
    let Some((job, since)) = world.copies.poll(token, now_ms) else {
        return GraphError::item_not_found().into_response(world);
    };
    let total = job.ends_ms.saturating_sub(job.began_ms);
    if job.ends_ms > now_ms {
        if since.is_some_and(|since| since < POLL_SECONDS * 1_000) {
            world.note(
                ViolationKind::PolledTooFast,
                "the state of a copy was asked for before Retry-After had passed",
            );
        }
        let percent = (now_ms - job.began_ms) * 1_000 / total.max(1);
        let percent = f64::from(u32::try_from(percent).unwrap_or_default()) / 10.0;
        let body = json!({"operation": "ItemCopy", "percentageComplete": percent, "status": "inProgress"});
        let mut response = json::response(StatusCode::ACCEPTED, &body);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(POLL_SECONDS));
        return response;
    }
    let body = match job.outcome {
        Ok(Made { id, address }) => {
            let body = json!({"percentageComplete": 100.0, "resourceId": id, "status": "completed"});
            return completed(world, &body, &address);
        }
        Err(code) => json!({
            "operation": "ItemCopy",
            "percentageComplete": 0.0,
            "status": "failed",
            "error": {"code": code, "message": "An item with the same name already exists under the parent."},
        }),
    };
    json::response(StatusCode::OK, &body)
}

/// The state of a copy that is done: 200, or 303 with the way to the new item.
fn completed(world: &World, body: &Value, address: &str) -> Response {
    if !world.switches().graph.copy_ends_with_303 {
        return json::response(StatusCode::OK, body);
    }
    let mut response = json::response(StatusCode::SEE_OTHER, body);
    if let Ok(value) = HeaderValue::try_from(address) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
