//! Download links: made here, served here, without a bearer token (graph-behaviour §4).

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::{Caller, remember_fence};
use super::error::GraphError;
use super::query::Query;
use super::throttled;
use crate::content::ContentReader;
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::drive::Drive;
use crate::drive::item::{Facet, Slot, Snapshot};
use crate::drive::names::mime_type;
use crate::faults::{FaultKind, Hits};
use crate::seal::{Purpose, Unsealed};
use crate::switches::{BearerOnLinks, MalwareAnswer};
use crate::throttle::{CallerKey, Direction};
use crate::transport::{self, Peer};
use crate::world::World;

/// Where downloads are served.
pub(super) const PATH: &str = "/_layouts/15/download.aspx";
/// What the token in a link begins with.
const TOKEN_PREFIX: &str = "sim-dl-";
/// Bytes of a content made at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Stands for whatever version a file has when the link is used.
const PRESENT: u32 = 0;
/// Stands for the file as a PDF.
const CONVERTED: u32 = u32::MAX;
/// What any file is converted to: one empty page.
const EMPTY_PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
/// What stands in a file that is given instead of the one that was wanted.
const ERROR_TEXT: &str =
    "The attempted operation is prohibited because it exceeds the list view threshold.\r\n";

/// Makes the links of one answer.
pub(super) struct Links<'a> {
    world: &'a World,
    drive: &'a Drive,
    caller: usize,
    expires_ms: u64,
}

impl<'a> Links<'a> {
    /// Links for a caller to files of a drive.
    pub(super) fn new(world: &'a World, caller: &Caller, drive: &'a Drive) -> Self {
        let life_ms = world.switches().download_link_seconds.saturating_mul(1_000);
        let expires_ms = world.clock.now_ms().saturating_add(life_ms);
        Self { world, drive, caller: world.caller_number(&caller.key()), expires_ms }
    }

    /// A link to a file.
    pub(super) fn to(&self, slot: Slot) -> String {
        self.to_version(slot, PRESENT)
    }

    /// A link to a file as a PDF.
    pub(super) fn to_pdf(&self, slot: Slot) -> String {
        self.to_version(slot, CONVERTED)
    }

    /// A link to a version of a file.
    pub(super) fn to_version(&self, slot: Slot, version: u32) -> String {
        let state = format!(
            "{} {slot} {} {} {} {version}",
            self.drive.index,
            self.expires_ms,
            self.caller,
            self.world.number()
        );
        let token = self.world.seal.seal(Purpose::Download, &state);
        let unique = self.drive.ids.unique(slot);
        format!(
            "{}{PATH}?UniqueId={unique}&Translate=false&tempauth={TOKEN_PREFIX}{token}",
            self.world.bases.downloads
        )
    }
}

/// What a link carries.
struct Opened {
    drive: Arc<Drive>,
    slot: Slot,
    expires_ms: u64,
    caller: CallerKey,
    version: u32,
}

/// Serves a link.
pub(super) async fn serve(world: &Arc<World>, peer: &Peer, query: &Query, headers: &HeaderMap) -> Response {
    world.counters.request(Endpoint::Download);
    let opened = open(world, query.get("tempauth").unwrap_or_default());
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
        remember_fence(world, &opened.caller, Some(opened.drive.ids.drive()), &response);
    }
    response
}

fn observe_fence(world: &World, opened: &Opened) {
    let early =
        world.throttle.too_early(&opened.caller, Some(opened.drive.ids.drive()), world.clock.now_ms());
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
    if let Some(error) = transport::status_fault(world, hits, |status, code, inner| {
        GraphError::of_fault(status, code, inner).into_response(world)
    }) {
        return Ok(error);
    }
    let refused =
        hits.has(&FaultKind::DownloadUrlFirst401) && world.is_first_download(opened.drive.index, opened.slot);
    if refused || opened.expires_ms <= world.clock.now_ms() {
        return Err(GraphError::bad_link());
    }
    let item = opened.drive.tree().snapshot(opened.slot).ok_or_else(GraphError::item_not_found)?;
    if matches!(item.facet(), Some(Facet::Malware)) {
        return Ok(infected(world));
    }
    if hits.has(&FaultKind::ErrorFile) {
        return Ok(error_file(&item));
    }
    let (content, mime) = match opened.version {
        PRESENT => (opened.drive.content(&item), mime_type(&item.name)),
        CONVERTED => {
            let kept = world.room.keep(Bytes::from_static(EMPTY_PDF)).map_err(GraphError::no_room)?;
            (Some(ContentReader::of_kept(kept)), "application/pdf")
        }
        version => (opened.drive.version_content(opened.slot, version), mime_type(&item.name)),
    };
    let content = content.ok_or_else(GraphError::item_not_found)?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.filter(|_| !hits.has(&FaultKind::RangeIgnored));
    let span = Span::of(range, content.size());
    let egress = world.switches().limits.egress_bytes_per_hour;
    let now_ms = world.clock.now_ms();
    let taken = world.throttle.take_bytes(
        &opened.caller,
        Direction::Egress,
        span.length(content.size()),
        egress,
        now_ms,
    );
    taken.map_err(|seconds| throttled(world, seconds))?;
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

/// What a link turns out to be.
enum Link {
    Known(Opened),
    /// Of an earlier simulator, or of a drive that is gone.
    Stale,
    Edited,
}

impl Link {
    fn known(self) -> Option<Opened> {
        match self {
            Self::Known(opened) => Some(opened),
            Self::Stale | Self::Edited => None,
        }
    }
}

fn open(world: &World, token: &str) -> Link {
    let sealed = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
    match world.seal.open(Purpose::Download, sealed) {
        Unsealed::State(state) => read(world, &state).map_or(Link::Stale, Link::Known),
        Unsealed::Foreign => Link::Stale,
        Unsealed::Edited => Link::Edited,
    }
}

fn read(world: &World, state: &str) -> Option<Opened> {
    let mut fields = state.split(' ').map(str::parse::<u64>);
    let mut number = || fields.next()?.ok();
    let (index, slot, expires_ms, caller) = (number()?, number()?, number()?, number()?);
    let (_, version) = (number()?, number()?);
    Some(Opened {
        drive: world.drive_at(u32::try_from(index).ok()?)?,
        slot: Slot::try_from(slot).ok()?,
        expires_ms,
        caller: world.caller(usize::try_from(caller).ok()?)?,
        version: u32::try_from(version).ok()?,
    })
}

/// Which part of a content is wanted (RFC 9110 §14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Whole,
    /// From, and up to but not including.
    Part(u64, u64),
    Unsatisfiable,
}

impl Span {
    /// Bytes of a content of this size that are sent.
    const fn length(self, size: u64) -> u64 {
        match self {
            Self::Whole => size,
            Self::Part(from, to) => to - from,
            Self::Unsatisfiable => 0,
        }
    }

    /// Reads a `Range` header. One range only; whatever is not understood means the whole.
    fn of(header: Option<&str>, size: u64) -> Self {
        let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
            return Self::Whole;
        };
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), _) if first >= size => Self::Unsatisfiable,
            (Ok(first), Ok(last)) if last >= first => Self::Part(first, last.saturating_add(1).min(size)),
            (Ok(first), Err(_)) if last.trim().is_empty() => Self::Part(first, size),
            (Err(_), Ok(0)) if first.trim().is_empty() => Self::Unsatisfiable,
            (Err(_), Ok(suffix)) if first.trim().is_empty() && size > 0 => {
                Self::Part(size.saturating_sub(suffix), size)
            }
            _ => Self::Whole,
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

#[cfg(test)]
mod tests {
    use super::Span;

    /// RFC 9110 §14.1.2
    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (header, size, expected) in [
            (None, 10, Span::Whole),
            (Some("bytes=0-3"), 10, Span::Part(0, 4)),
            (Some("bytes=4-"), 10, Span::Part(4, 10)),
            (Some("bytes=4-99"), 10, Span::Part(4, 10)),
            (Some("bytes=-3"), 10, Span::Part(7, 10)),
            (Some("bytes=-99"), 10, Span::Part(0, 10)),
            (Some("bytes=10-"), 10, Span::Unsatisfiable),
            (Some("bytes=-0"), 10, Span::Unsatisfiable),
            (Some("bytes=0-0"), 0, Span::Unsatisfiable),
            (Some("bytes=5-2"), 10, Span::Whole),
            (Some("lines=1-2"), 10, Span::Whole),
            (Some("bytes=0-1,4-5"), 10, Span::Whole),
        ] {
            assert_eq!(Span::of(header, size), expected, "{header:?} of {size}");
        }
    }
}
