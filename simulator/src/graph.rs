//! Graph: drives, items, the delta feed and contents (graph-behaviour §1–§4, §6, §7).

mod access;
mod children;
mod content;
mod delta;
mod download;
mod drives;
mod error;
mod item_json;
mod items;
mod query;
mod route;

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;

use self::access::Caller;
use self::error::GraphError;
use self::query::Query;
use self::route::{DriveRef, Route, Target};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::faults::Hits;
use crate::mix::{Sequence, guid};
use crate::transport::{self, Peer};
use crate::world::World;

/// A call to Graph whose caller is known.
pub(crate) struct Call<'a> {
    world: &'a Arc<World>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    hits: Hits,
    /// The address that was asked for, as a client would write it.
    address: String,
}

/// The routes of Graph and of the download host.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new().fallback(serve).with_state(world)
}

async fn serve(
    State(world): State<Arc<World>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let readable = matches!(parts.method, Method::GET | Method::HEAD);
    if path == download::PATH && readable {
        return download::serve(&world, &peer, &query, &parts.headers).await;
    }
    let route = Route::parse(path);
    let endpoint = route.as_ref().map_or(Endpoint::Unknown, Route::endpoint);
    world.counters.request(endpoint);
    let answer = match route {
        Some(route) if readable => {
            let asked = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let address = format!("{}{asked}", world.bases.graph);
            authorised(&world, &peer, route, (query, parts.headers.clone(), address)).await
        }
        Some(_) => Err(GraphError::not_supported()),
        None => Err(GraphError::bad_path(path)),
    };
    let response = answer.unwrap_or_else(|error| {
        let response = error.into_response(&world);
        world.counters.status(response.status());
        response
    });
    tracing::debug!(endpoint = ?endpoint, status = response.status().as_u16(), "answered");
    dated(&world, response, &parts.headers)
}

/// Everything between the address and the endpoint: bearer token, limits, faults.
async fn authorised(
    world: &Arc<World>,
    peer: &Peer,
    route: Route,
    asked: (Query, HeaderMap, String),
) -> Result<Response, GraphError> {
    let (query, headers, address) = asked;
    let endpoint = route.endpoint();
    let caller = access::check(world, &headers)?;
    let drive = find_drive(world, &caller, &route.drive);
    let drive_id = drive.as_ref().ok().map(|drive| drive.ids.drive().to_owned());
    observe_fence(world, &caller, drive_id.as_deref(), endpoint);
    let hits = world.faults.strike(endpoint, drive_id.as_deref());
    let limit = throttle(world, &caller, cost(&route, &query));
    let call = Call { world, caller, query, headers, hits, address };
    let response = transport::respond(world, peer, &call.hits, async {
        let answer = match limit {
            Err(error) => Err(error),
            Ok(()) => match call.faulty() {
                Some(response) => return response,
                None => match drive {
                    Ok(drive) => dispatch(&call, &drive, &route).await,
                    Err(error) => Err(error),
                },
            },
        };
        answer.unwrap_or_else(|error| error.into_response(world))
    })
    .await;
    access::remember_fence(world, &call.caller.key(), drive_id.as_deref(), &response);
    Ok(response)
}

async fn dispatch(call: &Call<'_>, drive: &Arc<Drive>, route: &Route) -> Result<Response, GraphError> {
    match &route.target {
        Target::Drive => Ok(drives::answer(call, drive)),
        Target::Item(item) => items::answer(call, drive, item),
        Target::Children(item) => children::answer(call, drive, item),
        Target::Content(item) => content::answer(call, drive, item),
        Target::Delta { item, token } => delta::answer(call, drive, item, token.as_deref()).await,
    }
}

/// Resource units of a call (graph-behaviour §7): 2 for lists and for enumerations from the beginning, else 1.
fn cost(route: &Route, query: &Query) -> u32 {
    match &route.target {
        Target::Children(_) => 2,
        Target::Delta { token, .. } if token.is_none() && query.get("token").is_none() => 2,
        Target::Drive | Target::Item(_) | Target::Content(_) | Target::Delta { .. } => 1,
    }
}

fn throttle(world: &World, caller: &Caller, units: u32) -> Result<(), GraphError> {
    let Some(per_minute) = world.switches().resource_units_per_minute else { return Ok(()) };
    let taken = world.throttle.take(&caller.key(), units, per_minute, world.clock.now_ms());
    taken.map_err(|seconds| {
        world.counters.add(|counts| counts.throttled += 1);
        GraphError::throttled(seconds)
    })
}

fn observe_fence(world: &World, caller: &Caller, drive: Option<&str>, endpoint: Endpoint) {
    if let Some(early) = world.throttle.too_early(&caller.key(), drive, world.clock.now_ms()) {
        let detail = format!("a request of kind {endpoint:?} came {early} ms before Retry-After had passed");
        world.note(ViolationKind::RetryAfterIgnored, detail);
    }
}

fn find_drive(world: &World, caller: &Caller, wanted: &DriveRef) -> Result<Arc<Drive>, GraphError> {
    match wanted {
        DriveRef::Mine => {
            let Some(oid) = &caller.oid else { return Err(GraphError::no_user()) };
            let own = world.drives().into_iter().find(|drive| drive.owner.oid == *oid);
            own.ok_or_else(|| GraphError::not_found("User's mysite not found."))
        }
        DriveRef::Id(id) => {
            let drive = world.drive(id).filter(|drive| drive.owner.tid == caller.tid);
            let drive = drive.ok_or_else(GraphError::item_not_found)?;
            let shared = drive.ids.kind() == crate::drive::spec::DriveKind::DocumentLibrary;
            let mine = caller.oid.as_ref().is_none_or(|oid| *oid == drive.owner.oid);
            if shared || mine { Ok(drive) } else { Err(GraphError::access_denied()) }
        }
    }
}

/// The headers every answer of Graph has.
fn dated(world: &World, mut response: Response, asked: &HeaderMap) -> Response {
    let mut ids = Sequence::new(world.number());
    let request_id = guid(ids.bytes());
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert("client-request-id", asked.get("client-request-id").unwrap_or(&value).clone());
        headers.insert("request-id", value);
    }
    let diagnostic = r#"{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"1","ScaleUnit":"000"}}"#;
    headers.insert("x-ms-ags-diagnostic", HeaderValue::from_static(diagnostic));
    if let Ok(value) = HeaderValue::try_from(crate::clock::http_date(world.clock.now_seconds())) {
        headers.insert(header::DATE, value);
    }
    response
}
