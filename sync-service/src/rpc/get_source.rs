//! `SourceService.GetSource`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::ops::{Ctx, sources};

pub(super) async fn answer(ctx: &Ctx, request: pb::GetSourceRequest) -> Answer<pb::GetSourceResponse> {
    let name = parse::source_name("name", &request.name)?;
    let source = sources::get(ctx, &name).await.map_err(status)?;
    Ok(Response::new(pb::GetSourceResponse { source: Some(messages::source(&source, ctx.now())) }))
}
