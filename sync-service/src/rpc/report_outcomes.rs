//! `WorkerService.ReportOutcomes`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::{Response, Status};

use super::{Answer, parse, status::status};
use crate::{
    domain::names::RunName,
    ops::{
        Ctx,
        report_outcomes::{self, Outcome, OutcomeResult},
    },
};

/// Most outcomes in one report.
const MAX_OUTCOMES: usize = 500;

/// Most notices of one outcome.
const MAX_NOTICES: usize = 10;

pub(super) async fn answer(
    ctx: &Ctx,
    request: pb::ReportOutcomesRequest,
) -> Answer<pb::ReportOutcomesResponse> {
    let epoch = request.epoch;
    let (name, outcomes) = parse_request(request)?;
    report_outcomes::report_outcomes(ctx, &name, epoch, &outcomes).await.map_err(status)?;
    Ok(Response::new(pb::ReportOutcomesResponse {}))
}

fn parse_request(request: pb::ReportOutcomesRequest) -> Result<(RunName, Vec<Outcome>), Status> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    if request.outcomes.len() > MAX_OUTCOMES {
        bad.add("outcomes", format!("holds more than {MAX_OUTCOMES}"));
    }
    let mut outcomes = Vec::with_capacity(request.outcomes.len());
    for (index, outcome) in request.outcomes.into_iter().enumerate() {
        let result = match outcome.result {
            Some(pb::outcome::Result::Done(done)) => {
                OutcomeResult::Done { bytes: done.bytes.max(0), file: done.file.map(parse::file_state) }
            }
            Some(pb::outcome::Result::Failed(failed)) if !failed.reason.is_empty() => {
                OutcomeResult::Failed { reason: failed.reason, detail: failed.detail }
            }
            Some(pb::outcome::Result::Failed(_)) | None => {
                bad.add(&format!("outcomes[{index}].result"), "is required, with a reason where it failed");
                continue;
            }
        };
        if outcome.notices.len() > MAX_NOTICES {
            bad.add(&format!("outcomes[{index}].notices"), format!("holds more than {MAX_NOTICES}"));
        }
        let notices = outcome.notices.into_iter().map(parse::notice).collect();
        outcomes.push(Outcome { item_id: outcome.item_id, token: outcome.token, result, notices });
    }
    bad.finish()?;
    Ok((name.ok_or_else(parse::broken)?, outcomes))
}
