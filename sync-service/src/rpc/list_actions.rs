//! `WorkerService.ListActions`.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use service_kit::server::{Streamed, streamed};
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::ops::{
    Ctx, OpError,
    list_actions::{self, Extent},
};

pub(super) fn answer(
    ctx: &Ctx,
    request: &pb::ListActionsRequest,
) -> Answer<Streamed<pb::ListActionsResponse>> {
    let name = parse::run_name("run", &request.run)?;
    let extent = if request.while_listing { Extent::WhileListing } else { Extent::Everything };
    let pages = list_actions::list_actions(ctx.clone(), name, request.epoch, extent).map(|page| {
        let actions = page.map_err(status)?.into_iter().map(messages::action).collect::<Result<_, _>>();
        Ok(pb::ListActionsResponse { actions: actions.map_err(|error| status(OpError::Encode(error)))? })
    });
    Ok(Response::new(streamed(pages)))
}
