//! `WorkerService.ReportFindings`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::Response;

use super::{Answer, parse, status::status};
use crate::{
    domain::names::RunName,
    ops::{Ctx, report_findings},
};

/// Most findings in one report.
const MAX_FINDINGS: usize = 500;

pub(super) async fn answer(
    ctx: &Ctx,
    request: pb::ReportFindingsRequest,
) -> Answer<pb::ReportFindingsResponse> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    if request.findings.len() > MAX_FINDINGS {
        bad.add("findings", format!("holds more than {MAX_FINDINGS}"));
    }
    if request.first_number < 0 {
        bad.add("first_number", "must be 0 or more");
    }
    let mut findings = Vec::with_capacity(request.findings.len());
    for (index, finding) in request.findings.into_iter().enumerate() {
        match parse::finding(finding) {
            Some(finding) => findings.push(finding),
            None => bad.add(&format!("findings[{index}].kind"), "is required"),
        }
    }
    bad.finish()?;
    let Some(name) = name else { return Err(parse::broken()) };
    report_findings::report_findings(ctx, &name, request.epoch, request.first_number, &findings)
        .await
        .map_err(status)?;
    Ok(Response::new(pb::ReportFindingsResponse {}))
}
