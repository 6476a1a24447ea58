//! `RunService.CancelRun`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::ops::{Ctx, cancel_run, runs::NamedRun};

pub(super) async fn answer(ctx: &Ctx, request: pb::CancelRunRequest) -> Answer<pb::CancelRunResponse> {
    let name = parse::run_name("name", &request.name)?;
    let run = cancel_run::cancel_run(ctx, &name).await.map_err(status)?;
    Ok(Response::new(pb::CancelRunResponse {
        run: Some(messages::run(&NamedRun { name, run }, &[], Vec::new())),
    }))
}
