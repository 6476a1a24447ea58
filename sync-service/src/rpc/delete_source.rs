//! `SourceService.DeleteSource`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, parse, status::status};
use crate::ops::{Ctx, sources};

pub(super) async fn answer(ctx: &Ctx, request: pb::DeleteSourceRequest) -> Answer<pb::DeleteSourceResponse> {
    let name = parse::source_name("name", &request.name)?;
    sources::delete(ctx, &name).await.map_err(status)?;
    Ok(Response::new(pb::DeleteSourceResponse {}))
}
