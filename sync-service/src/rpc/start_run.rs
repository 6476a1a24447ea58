//! `SourceService.StartRun`.

use proto::sync::v1 as pb;
use service_kit::status::Violations;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::{names::SourceName, run::RunKind},
    ops::{Ctx, start_run},
};

pub(super) async fn answer(ctx: &Ctx, request: pb::StartRunRequest) -> Answer<pb::StartRunResponse> {
    let mut bad = Violations::new();
    let name = bad.check("name", SourceName::parse(&request.name));
    let kind = parse::run_kind(request.kind).filter(|kind| *kind != RunKind::Sync);
    if kind.is_none() {
        bad.add("kind", "must be RUN_KIND_PLAN, RUN_KIND_VERIFY or RUN_KIND_HEAL");
    }
    bad.finish()?;
    let (Some(name), Some(kind)) = (name, kind) else { return Err(parse::broken()) };
    let run = start_run::start_run(ctx, &name, kind).await.map_err(status)?;
    Ok(Response::new(pb::StartRunResponse { run: Some(messages::run(&run, &[], Vec::new())) }))
}
