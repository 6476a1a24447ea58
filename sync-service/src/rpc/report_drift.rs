//! `WorkerService.ReportDrift`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::Response;

use super::{Answer, parse, status::status};
use crate::{
    domain::{drift::Drift, names::RunName},
    ops::{Ctx, report_drift},
};

/// Most items in one report.
const MAX_DRIFT: usize = 500;

pub(super) async fn answer(ctx: &Ctx, request: pb::ReportDriftRequest) -> Answer<pb::ReportDriftResponse> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    if request.drift.len() > MAX_DRIFT {
        bad.add("drift", format!("holds more than {MAX_DRIFT}"));
    }
    let mut found = Vec::with_capacity(request.drift.len());
    for (index, drift) in request.drift.into_iter().enumerate() {
        match drift.kind() {
            pb::DriftKind::Gone => found.push((drift.item_id, Drift::Gone)),
            pb::DriftKind::Changed => found.push((drift.item_id, Drift::Changed)),
            pb::DriftKind::Unspecified => bad.add(&format!("drift[{index}].kind"), "is required"),
        }
    }
    bad.finish()?;
    let Some(name) = name else { return Err(parse::broken()) };
    report_drift::report_drift(ctx, &name, request.epoch, &found).await.map_err(status)?;
    Ok(Response::new(pb::ReportDriftResponse {}))
}
