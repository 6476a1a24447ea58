//! `GET …/drive/sharedWithMe` (graph-behaviour §3): deprecated, and still asked for by clients. What others of the tenant shared, as
//! entries whose `remoteItem` says where it really is.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Call;
use super::item_json::Writer;
use crate::drive::Drive;
use crate::drive::item::Snapshot;
use crate::json;

/// Members that an entry repeats of the item it stands for.
const REPEATED: [&str; 7] = ["id", "name", "size", "file", "folder", "webUrl", "lastModifiedDateTime"];

/// Lists what was shared with the caller.
pub(super) async fn answer(call: &Call<'_>) -> Response {
    let mut value = Vec::new();
    for drive in call.world.drives() {
        if drive.owner.tid == call.caller.tid && !call.caller.owns(&drive) {
            value.extend(shared(call, &drive).await);
        }
    }
    json::response(StatusCode::OK, &json!({"value": value}))
}

async fn shared(call: &Call<'_>, drive: &Arc<Drive>) -> Vec<Value> {
    let items: Vec<Snapshot> = {
        let tree = drive.tree();
        tree.shares().into_iter().filter_map(|slot| tree.snapshot(slot)).collect()
    };
    let items = drive.hashed(items).await;
    let writer = Writer::new(call, drive, None);
    let entry = |item: &Snapshot| {
        let above = drive.tree().path(item.parent);
        let mut remote = writer.item(item, &above).into_members();
        remote.remove("@microsoft.graph.downloadUrl");
        let mut entry = remote.clone();
        entry.retain(|name, _| REPEATED.contains(&name.as_str()));
        entry.insert("remoteItem".to_owned(), Value::from(remote));
        Value::from(entry)
    };
    items.iter().map(entry).collect()
}
