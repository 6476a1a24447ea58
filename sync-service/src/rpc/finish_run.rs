//! `WorkerService.FinishRun`.

use proto::sync::v1 as pb;
use service_kit::{clock::duration_from_proto, status::Violations};
use tonic::{Response, Status};

use super::{Answer, parse, status::status};
use crate::{
    domain::{
        names::RunName,
        run::{Effort, FinishState},
    },
    ops::{
        Ctx,
        finish_run::{self, Finish},
    },
};

pub(super) async fn answer(ctx: &Ctx, request: pb::FinishRunRequest) -> Answer<pb::FinishRunResponse> {
    let epoch = request.epoch;
    let (name, finish) = parse_request(request)?;
    let left = finish_run::finish_run(ctx, &name, epoch, &finish).await.map_err(status)?;
    let (items_left, deletions_held) = (left.items_left, left.deletions_held);
    Ok(Response::new(pb::FinishRunResponse { items_left, deletions_held }))
}

fn parse_request(request: pb::FinishRunRequest) -> Result<(RunName, Finish), Status> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    let state = match request.state() {
        pb::FinishState::Completed => Some(FinishState::Completed),
        pb::FinishState::Failed => Some(FinishState::Failed),
        pb::FinishState::NeedsPerson => Some(FinishState::NeedsPerson),
        pb::FinishState::Cancelled => Some(FinishState::Cancelled),
        pb::FinishState::Unspecified => {
            bad.add("state", "is required");
            None
        }
    };
    bad.finish()?;
    let (Some(name), Some(state)) = (name, state) else { return Err(parse::broken()) };
    let finish = Finish {
        state,
        reason: request.reason,
        detail: request.detail,
        effort: Effort {
            graph_requests: request.graph_requests.max(0),
            bytes_received: request.bytes_received.max(0),
        },
        activity: parse::activity(request.activity),
        retry_after: request.retry_after.as_ref().and_then(duration_from_proto),
    };
    Ok((name, finish))
}
