//! `GET …/root/delta` (graph-behaviour §2): pages, their links, and 410.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::Call;
use super::error::GraphError;
use super::item_json::{Writer, Written};
use super::items::{hides_shortcuts, is_shortcut};
use super::route::ItemRef;
use super::timestamp;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::feed::{Ask, Page, Position};
use crate::drive::item::{ROOT, Slot, Snapshot};
use crate::drive::spec::DriveKind;
use crate::faults::{FaultKind, ResyncBody, ResyncInner, ResyncLocation};
use crate::json;
use crate::mix::join;
use crate::seal::{Purpose, Unsealed};

/// Items of a page when nothing else is asked for.
const DEFAULT_PAGE: usize = 200;
/// Most items of a page.
const MAX_PAGE: usize = 1_000;
/// A link that is answered with 500, for the fault in which `Location` does not work.
const BROKEN: &str = "broken";

/// What a link carries.
#[derive(Debug)]
struct Link {
    position: Position,
    top: usize,
    select: Option<String>,
}

/// The feed that is asked for.
#[derive(Clone, Copy)]
struct Scope {
    /// None for the root.
    folder: Option<Slot>,
    /// The last change that is told already.
    until: u64,
}

/// Answers with a page.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    item: &ItemRef,
    token: Option<&str>,
) -> Result<Response, GraphError> {
    let folder = super::items::find(call, drive, item)?.0;
    if folder.slot != ROOT && (drive.ids.kind() != DriveKind::Personal || !folder.is_folder()) {
        let message = "Change tracking is not supported against 'microsoft.graph.driveItem'.";
        return Err(GraphError::invalid_request(message));
    }
    let lag = call.world.switches().graph.folder_delta_lag_milliseconds;
    if call.is_fresh(&drive.tree(), folder.slot, lag) {
        return Err(GraphError::item_not_found());
    }
    if let Some(response) = resync_fault(call, drive) {
        return response;
    }
    let switches = call.world.switches().delta;
    let scope = Scope {
        folder: (folder.slot != ROOT).then_some(folder.slot),
        until: visible(call, drive, switches.lag_seconds),
    };
    let token = token.or_else(|| call.query.get("token"));
    let link = start(call, drive, scope, token)?;
    if call.hits.has(&FaultKind::EmptyPageWithNextlink) {
        let page = Page { items: Vec::new(), next: link.position, done: false };
        return Ok(write(call, drive, scope, &link, &page));
    }
    let mut page = if token == Some("latest") {
        Page { items: Vec::new(), next: link.position, done: true }
    } else {
        let ask = Ask {
            from: link.position,
            limit: link.top,
            until: scope.until,
            scope: scope.folder,
            exclude_parents: call.prefers("deltaExcludeParent"),
        };
        drive.tree().page(ask, &switches)
    };
    lose_tombstones(call, drive, &mut page.items);
    if hides_shortcuts(call) {
        page.items.retain(|item| !item.alive || !is_shortcut(item));
    }
    page.items = drive.hashed(page.items).await;
    Ok(write(call, drive, scope, &link, &page))
}

/// The last change that the feed tells now.
fn visible(call: &Call<'_>, drive: &Drive, lag_seconds: u64) -> u64 {
    let tree = drive.tree();
    if lag_seconds == 0 {
        return tree.sequence();
    }
    tree.visible(call.world.clock.now_ms().saturating_sub(lag_seconds.saturating_mul(1_000)))
}

/// The link a request continues, or the beginning.
fn start(call: &Call<'_>, drive: &Drive, scope: Scope, token: Option<&str>) -> Result<Link, GraphError> {
    let top = call.query.top(DEFAULT_PAGE, MAX_PAGE);
    let select = call.query.get("select").map(str::to_owned);
    let beginning = Position { read: 0, fresh_since: Some(scope.until) };
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(Link { position: beginning, top, select });
    };
    if token == "latest" {
        return Ok(Link { position: Position { read: scope.until, fresh_since: None }, top, select });
    }
    if token == BROKEN {
        return Err(GraphError::of_status(500, None));
    }
    if let Some(at_ms) = timestamp::parse(token) {
        return since(drive, scope, at_ms).map(|position| Link { position, top, select });
    }
    let mut link =
        open(call, drive, scope, token).ok_or_else(|| resync(call, drive, scope, ResyncInner::Apply))?;
    if call.query.get("top").is_some() {
        link.top = top;
    }
    link.select = select.or(link.select);
    Ok(link)
}

/// Changes since a time: business drives and libraries only (graph-behaviour §2.1).
fn since(drive: &Drive, scope: Scope, at_ms: u64) -> Result<Position, GraphError> {
    if drive.ids.kind() == DriveKind::Personal {
        return Err(GraphError::invalid_request("Parameter 'DeltaToken' not supported for this request."));
    }
    // Before the drive began everything is a change.
    let begun = at_ms >= u64::from(drive.created) * 1_000;
    let read = if begun { drive.tree().visible(at_ms).min(scope.until) } else { 0 };
    Ok(Position { read, fresh_since: None })
}

/// Reads a link; none when it was not issued for this feed or is no longer honoured.
fn open(call: &Call<'_>, drive: &Drive, scope: Scope, token: &str) -> Option<Link> {
    let world = call.world;
    let state = match world.seal.open(Purpose::Feed, token) {
        Unsealed::State(state) => state,
        // A link of an earlier simulator was used as it was given: that is no offence, and not honoured either.
        Unsealed::Foreign => return None,
        Unsealed::Edited => {
            world.note(ViolationKind::EditedLink, "a delta link was used that was never issued");
            return None;
        }
    };
    let mut fields = state.splitn(9, ' ');
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (index, folder, epoch, read, began) = (number()?, number()?, number()?, number()?, number()?);
    let (top, issued_ms, _) = (number()?, number()?, number()?);
    let select = fields.next().filter(|select| !select.is_empty()).map(str::to_owned);
    if index != u64::from(drive.index) || folder != u64::from(scope.folder.unwrap_or(ROOT)) {
        world.note(ViolationKind::EditedLink, "a delta link of one feed was used for another");
        return None;
    }
    let age_ms = world.clock.now_ms().saturating_sub(issued_ms);
    let expired =
        world.switches().delta.link_seconds.is_some_and(|most| age_ms >= most.saturating_mul(1_000));
    if epoch != u64::from(world.epoch(drive.index)) || expired {
        return None;
    }
    let position = Position { read, fresh_since: began.checked_sub(1) };
    Some(Link { position, top: usize::try_from(top).ok()?.clamp(1, MAX_PAGE), select })
}

/// Writes a link. A number that is different each time makes every link a new one.
fn seal(call: &Call<'_>, drive: &Drive, scope: Scope, link: &Link, position: Position) -> String {
    let world = call.world;
    let state = format!(
        "{} {} {} {} {} {} {} {} {}",
        drive.index,
        scope.folder.unwrap_or(ROOT),
        world.epoch(drive.index),
        position.read,
        position.fresh_since.map_or(0, |began| began + 1),
        link.top,
        world.clock.now_ms(),
        world.number(),
        link.select.as_deref().unwrap_or_default(),
    );
    address(call, drive, scope, &world.seal.seal(Purpose::Feed, &state))
}

fn address(call: &Call<'_>, drive: &Drive, scope: Scope, token: &str) -> String {
    let (base, id) = (&call.world.bases.graph, drive.ids.drive());
    let place =
        scope.folder.map_or_else(|| "root".to_owned(), |folder| format!("items/{}", drive.ids.item(folder)));
    format!("{base}/v1.0/drives/{id}/{place}/delta?token={token}")
}

fn lose_tombstones(call: &Call<'_>, drive: &Drive, items: &mut Vec<Snapshot>) {
    items.retain(|item| {
        let key = join(drive.ids.key(), u64::from(item.slot));
        item.alive || !call.hits.strikes_item(&FaultKind::LostTombstone, key, &item.name)
    });
}

fn write(call: &Call<'_>, drive: &Drive, scope: Scope, link: &Link, page: &Page) -> Response {
    let writer = Writer::new(call, drive, link.select.as_deref());
    let writer = if link.position.fresh_since.is_none() { writer.with_shared_changes() } else { writer };
    let value: Vec<Written<'_>> = page.items.iter().map(|item| writer.feed_item(item)).collect();
    call.world.counters.add(|counts| counts.delta_items += u64::try_from(value.len()).unwrap_or_default());
    let looping = call.hits.has(&FaultKind::NextlinkLoop);
    let target = if looping { call.address.clone() } else { seal(call, drive, scope, link, page.next) };
    let done = page.done && !looping;
    let (next_link, delta_link) = if done { (None, Some(target)) } else { (Some(target), None) };
    let context = format!("{}/v1.0/$metadata#Collection(driveItem)", call.world.bases.graph);
    json::response(StatusCode::OK, &FeedPage { context, value, next_link, delta_link })
}

/// A page has exactly one of the two links.
#[derive(Serialize)]
struct FeedPage<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    value: Vec<Written<'a>>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink", skip_serializing_if = "Option::is_none")]
    delta_link: Option<String>,
}

fn resync_fault(call: &Call<'_>, drive: &Drive) -> Option<Result<Response, GraphError>> {
    let (inner, location, body) = call.hits.find(|kind| {
        let FaultKind::Resync { inner, location, body } = kind else { return None };
        Some((*inner, *location, *body))
    })?;
    let whole = Scope { folder: None, until: drive.tree().sequence() };
    let target = match location {
        ResyncLocation::Ok => Some(fresh(call, drive, whole)),
        ResyncLocation::Broken => Some(address(call, drive, whole, BROKEN)),
        ResyncLocation::Absent => None,
    };
    match body {
        ResyncBody::Json => Some(Err(GraphError::resync(inner_code(inner), target))),
        ResyncBody::Text => {
            let mut response = Response::new(Body::from("The delta token is no longer valid."));
            *response.status_mut() = StatusCode::GONE;
            if let Some(value) = target.and_then(|target| HeaderValue::try_from(target).ok()) {
                response.headers_mut().insert(header::LOCATION, value);
            }
            Some(Ok(response))
        }
    }
}

fn resync(call: &Call<'_>, drive: &Drive, scope: Scope, inner: ResyncInner) -> GraphError {
    GraphError::resync(inner_code(inner), Some(fresh(call, drive, scope)))
}

/// A link that begins a fresh enumeration.
fn fresh(call: &Call<'_>, drive: &Drive, scope: Scope) -> String {
    let position = Position { read: 0, fresh_since: Some(scope.until) };
    let link = Link { position, top: DEFAULT_PAGE, select: None };
    seal(call, drive, scope, &link, link.position)
}

const fn inner_code(inner: ResyncInner) -> Option<&'static str> {
    match inner {
        ResyncInner::Apply => Some("resyncChangesApplyDifferences"),
        ResyncInner::Upload => Some("resyncChangesUploadDifferences"),
        ResyncInner::None => None,
    }
}
