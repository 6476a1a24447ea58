//! `RunService.GetRun`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::ops::{Ctx, runs};

pub(super) async fn answer(ctx: &Ctx, request: pb::GetRunRequest) -> Answer<pb::GetRunResponse> {
    let name = parse::run_name("name", &request.name)?;
    let run = runs::get(ctx, &name).await.map_err(status)?;
    let issues = runs::issues(ctx, &run).await.map_err(status)?;
    let notices = runs::notices(ctx, &run).await.map_err(status)?;
    Ok(Response::new(pb::GetRunResponse { run: Some(messages::run(&run, &issues, notices)) }))
}
