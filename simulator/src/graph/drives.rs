//! `GET /drives/{id}` and `GET /me/drive` (graph-behaviour §1.1).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::Call;
use crate::clock::iso;
use crate::drive::Drive;
use crate::drive::item::ROOT;
use crate::drive::spec::DriveKind;
use crate::json;

/// Bytes of every drive's quota: 1 TiB.
const QUOTA_BYTES: u64 = 1 << 40;

/// Describes a drive.
pub(super) fn answer(call: &Call<'_>, drive: &Drive) -> Response {
    let used = drive.tree().get(ROOT).map_or(0, |root| root.size);
    let base = &call.world.bases.graph;
    let name = match drive.ids.kind() {
        DriveKind::Business | DriveKind::Personal => "OneDrive",
        DriveKind::DocumentLibrary => "Documents",
    };
    json::response(
        StatusCode::OK,
        &json!({
            "@odata.context": format!("{base}/v1.0/$metadata#drives/$entity"),
            "id": drive.ids.drive(),
            "driveType": drive.ids.kind().as_str(),
            "name": name,
            "createdDateTime": iso(u64::from(drive.created)),
            "owner": {"user": {
                "id": drive.owner.oid, "displayName": drive.owner.name, "email": drive.owner.upn,
            }},
            "quota": {
                "deleted": 0,
                "remaining": QUOTA_BYTES.saturating_sub(used),
                "state": "normal",
                "total": QUOTA_BYTES,
                "used": used,
            },
            "webUrl": format!("{base}/Documents"),
        }),
    )
}
