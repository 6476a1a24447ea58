//! Where download links lead: contents, without a bearer token (graph-behaviour §4).

mod link;
mod span;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::link::{Link, Opened};
pub(super) use self::link::{Links, What};
use self::span::Span;
use super::access::remember_fence;
use super::error::GraphError;
use super::limits::take_bytes;
use super::query::Query;
use crate::content::ContentReader;
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::item::{Facet, Snapshot};
use crate::drive::names::mime_type;
use crate::faults::{FaultKind, Hits};
use crate::switches::{BearerOnLinks, MalwareAnswer};
use crate::throttle::Direction;
use crate::transport::{self, Peer};
use crate::world::World;

/// Where downloads are served.
pub(super) const PATH: &str = "/_layouts/15/download.aspx";
/// Bytes of a content made at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What any file is converted to: one empty page.
const EMPTY_PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
/// What stands in a file that is given instead of the one that was wanted.
const ERROR_TEXT: &str =
    "The attempted operation is prohibited because it exceeds the list view threshold.\r\n";

/// Serves a link.
pub(super) async fn serve(world: &Arc<World>, peer: &Peer, query: &Query, headers: &HeaderMap) -> Response {
    world.counters.request(Endpoint::Download);
    let opened = Link::open(world, query.get("tempauth").unwrap_or_default());
    if matches!(opened, Link::Edited) {
        world.note(ViolationKind::EditedLink, "a download link was used that was never issued");
    }
    let opened = opened.known();
    let drive = opened.as_ref().map(|opened| opened.drive.ids.drive().to_owned());
    let hits = world.faults.strike(Endpoint::Download, drive.as_deref());
    if let Some(opened) = &opened {
        observe_fence(world, opened);
    }
    let response = transport::respond(world, peer, &hits, async {
        let answer = answer(world, opened.as_ref(), headers, &hits);
        answer.unwrap_or_else(|error| error.into_response(world))
    })
    .await;
    if let Some(opened) = &opened {
        remember_fence(world, &opened.requester.key, Some(opened.drive.ids.drive()), &response);
    }
    response
}

fn observe_fence(world: &World, opened: &Opened) {
    let early =
        world.throttle.too_early(&opened.requester.key, Some(opened.drive.ids.drive()), world.clock.now_ms());
    if let Some(early) = early {
        world.note(
            ViolationKind::RetryAfterIgnored,
            format!("a download came {early} ms before Retry-After had passed"),
        );
    }
}

fn answer(
    world: &World,
    opened: Option<&Opened>,
    headers: &HeaderMap,
    hits: &Hits,
) -> Result<Response, GraphError> {
    if headers.contains_key(header::AUTHORIZATION) {
        world.note(ViolationKind::BearerOnDownloadLink, "a bearer token was sent to a download link");
        if world.switches().bearer_on_links == BearerOnLinks::Refused {
            return Err(GraphError::bad_link());
        }
    }
    let opened = opened.ok_or_else(GraphError::bad_link)?;
    if let Some(error) = GraphError::on_demand(world, hits) {
        return Ok(error);
    }
    let refused =
        hits.has(&FaultKind::DownloadUrlFirst401) && world.is_first_download(opened.drive.index, opened.slot);
    if refused || opened.expires_ms <= world.clock.now_ms() {
        return Err(GraphError::bad_link());
    }
    let item = opened.drive.tree().snapshot(opened.slot).ok_or_else(GraphError::item_not_found)?;
    if matches!(item.facet(), Some(Facet::Malware)) && opened.what != What::Infected {
        return Ok(infected(world));
    }
    if hits.has(&FaultKind::ErrorFile) {
        return Ok(error_file(&item));
    }
    let (content, mime) = match opened.what {
        What::Present | What::Infected => (opened.drive.content(&item), mime_type(&item.name)),
        What::Pdf => {
            let kept = world.room.keep(Bytes::from_static(EMPTY_PDF)).map_err(GraphError::no_room)?;
            (Some(ContentReader::of_kept(kept)), "application/pdf")
        }
        What::Version(version) => (opened.drive.version_content(opened.slot, version), mime_type(&item.name)),
    };
    let content = content.ok_or_else(GraphError::item_not_found)?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.filter(|_| !hits.has(&FaultKind::RangeIgnored));
    let accepting = headers.contains_key(header::ACCEPT) || !world.switches().graph.range_needs_accept;
    let span = match Span::of(range, content.size()) {
        Span::Part(..) if !accepting => Span::Unsatisfiable,
        span @ (Span::Whole | Span::Part(..) | Span::Unsatisfiable) => span,
    };
    take_bytes(world, &opened.requester, Direction::Egress, span.length(content.size()))?;
    let mut response = write(world, &opened.drive, &item, content, span);
    if response.status().is_success() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    }
    Ok(response)
}

/// A file with a text in it, under a name made of the one that was wanted.
fn error_file(item: &Snapshot) -> Response {
    let mut response = Response::new(Body::from(ERROR_TEXT));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let name = utf8_percent_encode(&item.name, NON_ALPHANUMERIC);
    set(headers, header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}_Error.txt"));
    response
}

/// What the download of an infected file is answered with (graph-behaviour §4.4).
pub(super) fn infected(world: &World) -> Response {
    match world.switches().graph.malware {
        MalwareAnswer::Code => GraphError::of_status(403, Some("malwareDetected")).into_response(world),
        MalwareAnswer::Header => {
            let mut response = GraphError::access_denied().into_response(world);
            response.headers_mut().insert("x-virus-infected", HeaderValue::from_static("true"));
            response
        }
    }
}

fn write(world: &World, drive: &Drive, item: &Snapshot, content: ContentReader, span: Span) -> Response {
    let total = content.size();
    let (status, from, to) = match span {
        Span::Whole => (StatusCode::OK, 0, total),
        Span::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Span::Unsatisfiable => {
            let mut response = GraphError::bad_range().into_response(world);
            set(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{total}"));
            return response;
        }
    };
    world.counters.add(|counts| counts.bytes_served += to - from);
    let mut response = Response::new(Body::from_stream(bytes(content, from, to)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(headers, header::ETAG, drive.ids.e_tag(item.slot, item.version));
    set(headers, header::LAST_MODIFIED, crate::clock::http_date(u64::from(item.modified)));
    if status == StatusCode::PARTIAL_CONTENT {
        set(headers, header::CONTENT_RANGE, format!("bytes {from}-{}/{total}", to.saturating_sub(1)));
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn bytes(
    content: ContentReader,
    from: u64,
    to: u64,
) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((content, from), move |(content, at)| async move {
        let length = usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        if length == 0 {
            return None;
        }
        let mut chunk = vec![0; length];
        content.read_at(at, &mut chunk);
        let next = at + u64::try_from(length).unwrap_or_default();
        Some((Ok(Bytes::from(chunk)), (content, next)))
    })
}
