//! `PUT {uploadUrl}`: one chunk.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use super::super::error::GraphError;
use super::super::limits::take_bytes;
use super::{commit, status};
use crate::critic::ViolationKind;
use crate::faults::Hits;
use crate::json;
use crate::throttle::Direction;
use crate::world::World;

/// Chunks are shorter than this, in bytes (60 MiB).
const MAX_CHUNK_BYTES: u64 = 60 * 1024 * 1024;
/// Lengths of chunks are multiples of this, in bytes (320 KiB).
const ALIGNMENT_BYTES: u64 = 327_680;
/// Length of a chunk that a status suggests, in bytes (5 MiB).
pub(super) const SUGGESTED_BYTES: u64 = 16 * ALIGNMENT_BYTES;

/// Reads the body of a chunk. One that does not arrive whole is dropped.
pub(super) async fn receive(body: Body, headers: &HeaderMap) -> Result<Bytes, GraphError> {
    let most = usize::try_from(MAX_CHUNK_BYTES).unwrap_or(usize::MAX);
    super::super::receive(body, headers, most).await
}

/// What `Content-Range` tells: first byte, last byte, length of the whole.
fn range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

/// Takes a chunk; the last one stores the content.
pub(super) async fn put(
    world: &World,
    token: &str,
    request: (&HeaderMap, Bytes),
    hits: &Hits,
) -> Result<Response, GraphError> {
    let (headers, body) = request;
    let asked = range(headers)
        .ok_or_else(|| GraphError::invalid_request("The Content-Range header is not valid."))?;
    let (first, last, total) = asked;
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if last - first + 1 != length {
        let message = "The length of the fragment does not match Content-Range.";
        return Err(GraphError::with_inner(400, "invalidRequest", "fragmentLengthMismatch", message));
    }
    let is_last = last + 1 == total;
    let misaligned = !is_last && length % ALIGNMENT_BYTES != 0;
    if misaligned {
        let detail = format!("a chunk of {length} bytes, which is no multiple of {ALIGNMENT_BYTES}");
        world.note(ViolationKind::MisalignedChunk, detail);
    }
    let session = world.uploads.get(token).ok_or_else(super::unknown)?;
    take_bytes(world, &session.requester, Direction::Ingress, length)?;
    let kept = world.room.keep(body).map_err(GraphError::no_room)?;
    let session = world.uploads.change(token, |session| {
        if session.total.is_some_and(|known| known != total) {
            let message = "The total length differs from the one that was told before.";
            return Err(GraphError::invalid_request(message));
        }
        let refused = |inner, message| {
            GraphError::with_inner(416, "invalidRange", inner, message).expecting(session.missing())
        };
        let received = session.received.length();
        if first < received {
            return Err(refused("fragmentOverlap", "The fragment was received already, at least in part."));
        }
        if first > received {
            return Err(refused("fragmentOutOfOrder", "Fragments have to come in order."));
        }
        session.received.append(kept);
        session.total = Some(total);
        session.misaligned |= misaligned;
        session.touched_ms = world.clock.now_ms();
        Ok(session.clone())
    })?;
    world.counters.add(|counts| counts.bytes_received += length);
    if session.is_complete() && !session.deferred {
        return commit::store(world, token, &session, hits).await;
    }
    Ok(json::response(StatusCode::ACCEPTED, &status(world, &session)))
}
