//! Faults, switches, counters, violations and the clock.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, bad, done, ok, read, refused};
use crate::faults::Fault;
use crate::switches::Switches;
use crate::world::World;

type Body = Result<Json<Value>, JsonRejection>;

/// `GET /control/faults`
pub(super) async fn faults(State(world): State<Arc<World>>) -> Response {
    ok(&json!({"faults": world.faults.list()}))
}

/// `POST /control/faults`
pub(super) async fn add_fault(State(world): State<Arc<World>>, body: Body) -> Answer {
    let asked: Value = read(body)?;
    let fault: Fault = serde_json::from_value(asked.clone()).map_err(bad)?;
    // A flattened type cannot refuse unknown members by itself; a fault writes all members it knows.
    let known = serde_json::to_value(&fault).map_err(bad)?;
    let unknown =
        asked.as_object().and_then(|asked| asked.keys().find(|name| known.get(name.as_str()).is_none()));
    if let Some(name) = unknown {
        return Err(bad(format!("this fault has no member {name:?}")));
    }
    Ok(ok(&json!({"id": world.faults.add(fault)})))
}

/// `DELETE /control/faults`
pub(super) async fn clear_faults(State(world): State<Arc<World>>) -> Response {
    world.faults.clear();
    done()
}

/// `DELETE /control/faults/{id}`
pub(super) async fn remove_fault(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Answer {
    if world.faults.remove(id) {
        Ok(done())
    } else {
        Err(refused(StatusCode::NOT_FOUND, "no such fault is set"))
    }
}

/// `GET /control/switches`
pub(super) async fn switches(State(world): State<Arc<World>>) -> Response {
    ok(&world.switches())
}

/// `PUT /control/switches`: all of them; what is left out goes back to its default.
pub(super) async fn set_switches(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: Switches = read(body)?;
    world.switch(|switches| *switches = wanted);
    Ok(ok(&world.switches()))
}

/// `GET /control/counters`
pub(super) async fn counters(State(world): State<Arc<World>>) -> Response {
    ok(&world.counters.get())
}

/// `POST /control/counters/reset`: answers with what was counted until now.
pub(super) async fn reset_counters(State(world): State<Arc<World>>) -> Response {
    ok(&world.counters.reset())
}

/// `GET /control/violations`
pub(super) async fn violations(State(world): State<Arc<World>>) -> Response {
    ok(&json!({"violations": world.critic().list()}))
}

/// `DELETE /control/violations`
pub(super) async fn clear_violations(State(world): State<Arc<World>>) -> Response {
    drop(world.critic().take());
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

/// `POST /control/clock/advance`
pub(super) async fn advance_clock(State(world): State<Arc<World>>, body: Body) -> Answer {
    let wanted: Advance = read(body)?;
    world.clock.advance(Duration::from_secs(wanted.seconds));
    Ok(done())
}
