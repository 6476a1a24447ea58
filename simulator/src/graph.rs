//! Graph: drives, items, the delta feed, contents, uploads, sites and subscriptions (graph-behaviour §1–§8).

mod access;
mod batch;
mod children;
mod conditions;
mod content;
pub(crate) mod copy;
mod create_folder;
mod delete;
mod delta;
mod download;
mod drives;
mod error;
mod item_json;
mod items;
mod limits;
mod people;
mod permissions;
mod put_content;
mod query;
mod recycle_bin;
mod route;
mod search;
mod shared_with_me;
mod sharing;
mod sites;
mod special;
pub(crate) mod subscriptions;
mod timestamp;
mod update;
pub(crate) mod upload;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use self::access::Caller;
use self::error::GraphError;
use self::query::Query;
use self::route::{Action, ItemRef, Route, Target, VersionRef};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::item::Slot;
use crate::drive::tree::Tree;
use crate::faults::{FaultKind, Hits};
use crate::mix::{Sequence, guid};
use crate::transport::{self, Peer};
use crate::world::World;

/// Largest body of a request that is not a content, in bytes.
const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;
/// Largest content of a simple upload, in bytes (250 MB, graph-behaviour §5.1).
const MAX_SMALL_UPLOAD_BYTES: usize = 250_000_000;

/// A request, read whole.
struct Asked {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A call to Graph whose caller is known.
pub(crate) struct Call<'a> {
    world: &'a Arc<World>,
    caller: Caller,
    method: Method,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
    hits: Hits,
    /// The address that was asked for, as a client would write it.
    address: String,
}

/// The routes of Graph and of the hosts its pre-authenticated links lead to.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new().fallback(serve).with_state(world)
}

async fn serve(
    State(world): State<Arc<World>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    if path == download::PATH && matches!(parts.method, Method::GET | Method::HEAD) {
        return download::serve(&world, &peer, &Query::parse(query), &parts.headers).await;
    }
    if let Some(token) = path.strip_prefix(upload::PATH) {
        return upload::serve(&world, &peer, token, (parts.method, parts.headers, body)).await;
    }
    if let Some(token) = path.strip_prefix(copy::PATH) {
        return copy::serve(&world, &peer, token, &parts.headers).await;
    }
    let most = if path.ends_with("/content") { MAX_SMALL_UPLOAD_BYTES } else { MAX_JSON_BYTES };
    let response = match receive(body, &parts.headers, most).await {
        Ok(body) => {
            let (path, query) = (path.to_owned(), query.to_owned());
            let asked = Asked { method: parts.method, path, query, headers: parts.headers.clone(), body };
            answer(&world, &peer, asked).await
        }
        Err(error) => refuse(&world, error),
    };
    dated(&world, response, &parts.headers)
}

/// Reads a body of a bounded length.
async fn receive(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, GraphError> {
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > most) {
        return Err(GraphError::of_status(413, None));
    }
    let received = axum::body::to_bytes(body, most).await;
    received.map_err(|error| {
        tracing::debug!(%error, "a body did not arrive whole, or is too long");
        let message = "IO error during request payload read.";
        if told.is_none() { GraphError::of_status(413, None) } else { GraphError::invalid_request(message) }
    })
}

fn refuse(world: &World, error: GraphError) -> Response {
    let response = error.into_response(world);
    world.counters.status(response.status());
    response
}

/// Answers one request, alone or in a batch.
async fn answer(world: &Arc<World>, peer: &Peer, asked: Asked) -> Response {
    let route = Route::parse(&route::with_argument(&asked.path, &Query::parse(&asked.query)));
    let endpoint = route.as_ref().map_or(Endpoint::Unknown, |route| route.endpoint(&asked.method));
    world.counters.request(endpoint);
    let answer = match route {
        Some(route) => authorised(world, peer, route, asked).await,
        None => Err(GraphError::bad_path(&asked.path)),
    };
    let response = answer.unwrap_or_else(|error| refuse(world, error));
    tracing::debug!(endpoint = ?endpoint, status = response.status().as_u16(), "answered");
    response
}

/// The same, for a request within a batch: an answer can contain answers.
fn nested<'a>(world: &'a Arc<World>, peer: &'a Peer, asked: Asked) -> BoxFuture<'a, Response> {
    Box::pin(answer(world, peer, asked))
}

/// Everything between the address and the endpoint: bearer token, limits, faults.
async fn authorised(
    world: &Arc<World>,
    peer: &Peer,
    route: Route,
    asked: Asked,
) -> Result<Response, GraphError> {
    let endpoint = route.endpoint(&asked.method);
    let caller = access::check(world, &asked.headers)?;
    note_mirror(world, &caller, endpoint);
    caller.permit(&route, endpoint)?;
    let found = sites::locate(world, &caller, route);
    let drive_id = found.as_ref().ok().and_then(sites::Found::drive_id);
    let query = Query::parse(&asked.query);
    let limit = match &found {
        Ok(found) => {
            let units = limits::cost(&found.route, &asked.method, &query);
            limits::check(world, &caller, (drive_id.as_deref(), endpoint), units)
        }
        Err(_) => limits::check(world, &caller, (None, endpoint), 1),
    };
    let hits = world.faults.strike(endpoint, drive_id.as_deref());
    let mark = if asked.query.is_empty() { "" } else { "?" };
    let address = format!("{}{}{mark}{}", world.bases.graph, asked.path, asked.query);
    let Asked { method, headers, body, .. } = asked;
    let call = Call { world, caller, method, query, headers, body, hits, address };
    let (usage, refused) = match limit {
        Ok(usage) => (usage, None),
        Err(error) => (None, Some(error)),
    };
    let mut response = transport::respond(world, peer, &call.hits, async {
        let answer = match (refused, found) {
            (Some(error), _) => Err(error),
            (None, found) => match (call.faulty(), found) {
                (Some(response), _) => return response,
                (None, Ok(found)) => dispatch(&call, peer, &found).await,
                (None, Err(error)) => Err(error),
            },
        };
        answer.unwrap_or_else(|error| error.into_response(world))
    })
    .await;
    if let Some(usage) = usage.filter(|_| call.caller.oid.is_none()) {
        limits::tell(&mut response, usage);
    }
    access::remember_fence(world, &call.caller.key(), drive_id.as_deref(), &response);
    Ok(response)
}

async fn dispatch(call: &Call<'_>, peer: &Peer, found: &sites::Found) -> Result<Response, GraphError> {
    let Some(drive) = &found.drive else {
        return match &found.route {
            Route::Batch => batch::answer(call, peer).await,
            Route::Subscriptions | Route::Subscription(_) | Route::Reauthorize(_) => {
                subscriptions::answer(call, &found.route).await
            }
            Route::Person(name) => people::answer(call, name.as_deref()),
            Route::Drives(owner) if call.method == Method::GET => sites::list_drives(call, owner),
            Route::Site(site) if call.method == Method::GET => sites::answer(call, site),
            Route::Sites if call.method == Method::GET => Ok(sites::search(call)),
            Route::Groups(id) if call.method == Method::GET => sites::groups(call, id.as_deref()),
            Route::Drives(_) | Route::Site(_) | Route::Sites | Route::Groups(_) => {
                Err(GraphError::not_supported())
            }
            Route::InDrive { .. } | Route::Shared { .. } => Err(GraphError::item_not_found()),
        };
    };
    let Route::InDrive { target, .. } = &found.route else { return Err(GraphError::item_not_found()) };
    access::check_guest(&call.caller, call.method == Method::GET, drive, target)?;
    let method = match call.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    match (method, target) {
        ("GET", Target::Drive) => Ok(drives::answer(call, drive)),
        ("GET", Target::Item(item)) => items::answer(call, drive, item).await,
        ("PATCH", Target::Item(item)) => update::answer(call, drive, item).await,
        ("DELETE", Target::Item(item)) => delete::answer(call, drive, item),
        ("PUT", Target::Item(item)) => upload::commit::by_source(call, drive, item).await,
        ("GET", Target::Children(item)) if recycle_bin::is_meant(item) => {
            recycle_bin::list(call, drive).await
        }
        ("GET", Target::Children(item)) => children::answer(call, drive, item).await,
        ("POST", Target::Children(item)) => create_folder::answer(call, drive, item).await,
        ("GET", Target::Content(item)) => content::answer(call, drive, item),
        ("PUT", Target::Content(item)) => put_content::answer(call, drive, item).await,
        ("GET", Target::Delta { item, token }) => delta::answer(call, drive, item, token.as_deref()).await,
        ("GET", Target::Action(item, Action::Permissions)) => permissions::answer(call, drive, item),
        ("GET", Target::Search(item, text)) => search::answer(call, drive, item, text).await,
        ("GET", Target::SharedWithMe) => Ok(shared_with_me::answer(call).await),
        (_, Target::Versions(item, version)) => version_answer(call, drive, item, version.as_ref()),
        ("POST", Target::Action(item, action)) => match action {
            Action::CreateUploadSession => upload::create::answer(call, drive, item),
            Action::Copy => copy::answer(call, drive, item),
            Action::PermanentDelete => recycle_bin::delete(call, drive, item),
            Action::Restore => recycle_bin::restore(call, drive, item).await,
            Action::CreateLink => sharing::create_link(call, drive, item),
            Action::Permissions => Err(GraphError::not_supported()),
        },
        _ => Err(GraphError::not_supported()),
    }
}

fn version_answer(
    call: &Call<'_>,
    drive: &Drive,
    item: &ItemRef,
    version: Option<&VersionRef>,
) -> Result<Response, GraphError> {
    match (call.method.as_str(), version) {
        ("GET" | "HEAD", None) => versions::list(call, drive, item),
        ("GET" | "HEAD", Some(VersionRef { id, content: true })) => versions::content(call, drive, item, id),
        ("DELETE", Some(VersionRef { id, content: false })) => versions::delete(call, drive, item, id),
        _ => Err(GraphError::not_supported()),
    }
}

fn note_mirror(world: &World, caller: &Caller, endpoint: Endpoint) {
    let writes = matches!(endpoint, Endpoint::Write | Endpoint::Upload);
    if writes && world.switches().graph.mirror_clients.contains(&caller.client_id) {
        let detail = format!("a mirror sent a request of kind {endpoint:?}");
        world.note(ViolationKind::WriteByMirror, detail);
    }
}

impl Call<'_> {
    /// Refuses a write to what is locked.
    fn check_lock(&self) -> Result<(), GraphError> {
        if self.hits.has(&FaultKind::Locked) {
            return Err(GraphError::of_status(423, None));
        }
        Ok(())
    }

    /// The body, as JSON.
    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, GraphError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            tracing::debug!(%error, "a body does not fit");
            GraphError::invalid_request("The request body is malformed or incorrect.")
        })
    }

    /// Whether a preference was stated in `Prefer` (RFC 7240).
    fn prefers(&self, wanted: &str) -> bool {
        let stated = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        stated.flat_map(|value| value.split([',', ';'])).any(|one| one.trim().eq_ignore_ascii_case(wanted))
    }

    /// Remembers that an item is new at its place, while the new are hard to find (graph-behaviour §2.1, §3).
    fn appeared(&self, tree: &mut Tree, slot: Slot) {
        let graph = self.world.switches().graph;
        if graph.visibility_lag_milliseconds.max(graph.folder_delta_lag_milliseconds) > 0 {
            tree.horizon.born(slot, self.world.clock.now_ms());
        }
    }

    /// Whether an item has been at its place for less than a time.
    fn is_fresh(&self, tree: &Tree, slot: Slot, milliseconds: u64) -> bool {
        let since = self.world.clock.now_ms().saturating_sub(milliseconds);
        milliseconds > 0 && tree.horizon.is_newer(slot, since)
    }
}

/// An answer without a body.
fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
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
