//! What calls cost, and who has used too much (graph-behaviour §7).

use axum::http::{HeaderValue, Method};
use axum::response::Response;

use super::access::Caller;
use super::error::GraphError;
use super::query::Query;
use super::route::{Action, Route, Target};
use crate::counters::Endpoint;
use crate::critic::ViolationKind;
use crate::throttle::{Direction, Limits, Requester, Usage};
use crate::world::World;

/// Resource units of a call (graph-behaviour §7): 5 about permissions, 2 for lists, enumerations from the beginning and writes,
/// else 1; what is in a batch counts by itself.
pub(super) fn cost(route: &Route, method: &Method, query: &Query) -> u32 {
    if matches!(route, Route::Batch) {
        return 0;
    }
    let expands = |what: &str| query.get("expand").is_some_and(|expand| expand.contains(what));
    match route {
        Route::InDrive { target, .. } => match target {
            Target::Action(_, Action::Permissions | Action::CreateLink) => 5,
            _ if expands("permissions") => 5,
            _ if !matches!(*method, Method::GET | Method::HEAD) => 2,
            Target::Children(_) | Target::Search(..) | Target::SharedWithMe => 2,
            Target::Versions(_, version) if version.is_none() => 2,
            Target::Delta { token, .. } if token.is_none() && query.get("token").is_none() => 2,
            Target::Drive
            | Target::Item(_)
            | Target::Content(_)
            | Target::Delta { .. }
            | Target::Versions(..)
            | Target::Action(..) => 1,
        },
        Route::Drives(_) | Route::Sites | Route::Groups(None) => 2,
        Route::Subscriptions | Route::Subscription(_) | Route::Reauthorize(_) if *method != Method::GET => 2,
        Route::Shared { .. }
        | Route::Person(_)
        | Route::Site(_)
        | Route::Groups(_)
        | Route::Subscriptions
        | Route::Subscription(_)
        | Route::Reauthorize(_)
        | Route::Batch => 1,
    }
}

/// The limits of a caller; also notes whether it waits when it was told to.
pub(super) fn check(
    world: &World,
    caller: &Caller,
    place: (Option<&str>, Endpoint),
    units: u32,
) -> Result<Option<Usage>, GraphError> {
    let (drive, endpoint) = place;
    let switches = world.switches();
    let (key, now) = (caller.key(), world.clock.now_ms());
    if let Some(early) = world.throttle.too_early(&key, drive, now) {
        let detail = format!("a request of kind {endpoint:?} came {early} ms before Retry-After had passed");
        world.note(ViolationKind::RetryAfterIgnored, detail);
        if switches.limits.block_after_ignored.is_some_and(|most| world.throttle.ignored(&key) >= most) {
            world.throttle.block(&key);
        }
    }
    if world.throttle.is_blocked(&key) {
        return Err(GraphError::of_status(503, None));
    }
    let taken = world.throttle.take(&caller.requester(), units, &Limits::of(&switches), now);
    let usage = taken.map_err(|seconds| throttled(world, seconds))?;
    Ok(usage.filter(|_| switches.limits.rate_limit_headers))
}

/// The refusal of a limit.
fn throttled(world: &World, seconds: u64) -> GraphError {
    world.counters.add(|counts| counts.throttled += 1);
    GraphError::throttled(seconds)
}

/// Takes uploaded or downloaded bytes of the hour of an app and of a user (graph-behaviour §7).
pub(super) fn take_bytes(
    world: &World,
    who: &Requester,
    direction: Direction,
    bytes: u64,
) -> Result<(), GraphError> {
    let limits = Limits::of(&world.switches());
    let taken = world.throttle.take_bytes(who, direction, bytes, &limits, world.clock.now_ms());
    taken.map_err(|seconds| throttled(world, seconds))
}

/// `RateLimit-*` (graph-behaviour §7).
pub(super) fn tell(response: &mut Response, usage: Usage) {
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", HeaderValue::from(usage.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(usage.remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(usage.reset_seconds));
}
