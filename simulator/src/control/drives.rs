//! Drives: create, list, change, look at.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Refusal, bad, done, ok, read, refused};
use crate::drive::change::Change;
use crate::drive::handle::{DriveHandle, Entry};
use crate::drive::spec::{DriveKind, DriveSpec};
use crate::world::World;

/// Most random changes of one request.
const MAX_RANDOM_CHANGES: u32 = 1_000_000;

type Body = Result<Json<Value>, JsonRejection>;

#[derive(Serialize)]
struct Described {
    id: String,
    kind: DriveKind,
    owner: String,
    items: u32,
    bytes: u64,
    memory_bytes: usize,
}

impl Described {
    fn of(handle: &DriveHandle) -> Self {
        Self {
            id: handle.id().to_owned(),
            kind: handle.kind(),
            owner: handle.owner().to_owned(),
            items: handle.item_count(),
            bytes: handle.total_bytes(),
            memory_bytes: handle.memory_bytes(),
        }
    }
}

fn find(world: &Arc<World>, id: &str) -> Result<DriveHandle, Refusal> {
    let drive = world.drive(id).ok_or_else(|| refused(StatusCode::NOT_FOUND, "no drive has that id"))?;
    Ok(DriveHandle { drive, world: Arc::clone(world) })
}

/// `GET /control/drives`
pub(super) async fn list(State(world): State<Arc<World>>) -> Response {
    let handles = world.drives().into_iter().map(|drive| DriveHandle { drive, world: Arc::clone(&world) });
    let drives: Vec<Described> = handles.map(|handle| Described::of(&handle)).collect();
    ok(&json!({"drives": drives}))
}

/// `POST /control/drives`
pub(super) async fn create(State(world): State<Arc<World>>, body: Body) -> Answer {
    let spec: DriveSpec = read(body)?;
    let maker = Arc::clone(&world);
    let made = tokio::task::spawn_blocking(move || maker.create_drive(&spec)).await.map_err(bad)?;
    Ok(ok(&Described::of(&DriveHandle { drive: made.map_err(bad)?, world })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    random: Option<Random>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    seed: u64,
    count: u32,
}

/// `POST /control/drives/{id}/changes`: the listed changes in order, then random ones. Stops at the first that is refused.
pub(super) async fn change(State(world): State<Arc<World>>, Path(id): Path<String>, body: Body) -> Answer {
    let handle = find(&world, &id)?;
    let wanted: Changes = read(body)?;
    let mut items = Vec::new();
    for (number, change) in wanted.changes.iter().enumerate() {
        let made = handle.apply(change);
        items.push(
            made.map_err(|error| bad(format!("change {number}: {error} (those before it were made)")))?,
        );
    }
    let random =
        wanted.random.map(|random| handle.random_changes(random.seed, random.count.min(MAX_RANDOM_CHANGES)));
    Ok(ok(&json!({"items": items, "random": random.unwrap_or_default()})))
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    path: Option<String>,
}

/// `GET /control/drives/{id}/entries`: everything in the drive, or with `?path=/…` one entry.
pub(super) async fn entries(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let handle = find(&world, &id)?;
    let work = tokio::task::spawn_blocking(move || match wanted.path {
        Some(path) => handle.lookup(&path).into_iter().collect::<Vec<Entry>>(),
        None => handle.walk(),
    });
    Ok(ok(&json!({"entries": work.await.map_err(bad)?})))
}

/// `POST /control/drives/{id}/expire-delta-links`
pub(super) async fn expire_delta_links(State(world): State<Arc<World>>, Path(id): Path<String>) -> Answer {
    find(&world, &id)?.expire_delta_links();
    Ok(done())
}
