//! `RunService.ApproveDeletions`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::names::RunName,
    ops::{Ctx, approve_deletions, runs::NamedRun},
};

pub(super) async fn answer(
    ctx: &Ctx,
    request: pb::ApproveDeletionsRequest,
) -> Answer<pb::ApproveDeletionsResponse> {
    let mut bad = Violations::new();
    let name = bad.check("name", RunName::parse(&request.name));
    if request.max_deletions < 1 {
        bad.add("max_deletions", "must be 1 or more");
    }
    bad.finish()?;
    let name = name.ok_or_else(parse::broken)?;
    let run =
        approve_deletions::approve_deletions(ctx, &name, request.max_deletions).await.map_err(status)?;
    Ok(Response::new(pb::ApproveDeletionsResponse {
        run: Some(messages::run(&NamedRun { name, run }, &[], Vec::new())),
    }))
}
