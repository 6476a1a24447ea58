//! `GET /drives/{id}` and `GET /me/drive` (graph-behaviour §1.1).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Call, sites};
use crate::clock::iso;
use crate::drive::Drive;
use crate::drive::item::ROOT;
use crate::drive::spec::DriveKind;
use crate::json;
use crate::switches::QuotaTold;
use crate::world::World;

/// Describes a drive.
pub(super) fn answer(call: &Call<'_>, drive: &Drive) -> Response {
    let mut body = describe(call.world, drive);
    if let Some(members) = body.as_object_mut() {
        let context = format!("{}/v1.0/$metadata#drives/$entity", call.world.bases.graph);
        members.insert("@odata.context".to_owned(), Value::from(context));
    }
    json::response(StatusCode::OK, &body)
}

/// The members of a drive.
pub(super) fn describe(world: &World, drive: &Drive) -> Value {
    let (used, deleted) = {
        let tree = drive.tree();
        (tree.get(ROOT).map_or(0, |root| root.size), tree.binned_bytes())
    };
    let name = match drive.ids.kind() {
        DriveKind::Business | DriveKind::Personal => "OneDrive",
        DriveKind::DocumentLibrary => "Documents",
    };
    let mut body = json!({
        "id": drive.ids.drive(),
        "driveType": drive.ids.kind().as_str(),
        "name": name,
        "createdDateTime": iso(u64::from(drive.created)),
        "owner": {"user": {
            "id": drive.owner.oid, "displayName": drive.owner.name, "email": drive.owner.upn,
        }},
        "webUrl": sites::web_url(world, drive),
    });
    if let (Some(members), Some(quota)) = (body.as_object_mut(), quota(world, used, deleted)) {
        members.insert("quota".to_owned(), quota);
    }
    body
}

fn quota(world: &World, used: u64, deleted: u64) -> Option<Value> {
    let switches = world.switches().graph;
    let total = match switches.quota_told {
        QuotaTold::Whole => switches.quota_bytes,
        QuotaTold::Zero => {
            return Some(json!({"deleted": 0, "remaining": 0, "state": "normal", "total": 0, "used": 0}));
        }
        QuotaTold::Absent => return None,
    };
    Some(json!({
        "deleted": deleted,
        "remaining": total.saturating_sub(used).saturating_sub(deleted),
        "state": if used.saturating_add(deleted) >= total { "exceeded" } else { "normal" },
        "total": total,
        "used": used,
    }))
}
