//! `SourceService.SyncSource`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::ops::{Ctx, sources};

pub(super) async fn answer(ctx: &Ctx, request: pb::SyncSourceRequest) -> Answer<pb::SyncSourceResponse> {
    let name = parse::source_name("name", &request.name)?;
    let source = sources::sync(ctx, &name).await.map_err(status)?;
    Ok(Response::new(pb::SyncSourceResponse { source: Some(messages::source(&source, ctx.now())) }))
}
