//! `WorkerService.RenewLease`.

use proto::sync::v1 as pb;
use tonic::Response;

use super::{Answer, parse, status::status};
use crate::{
    domain::run::Effort,
    ops::{Ctx, renew_lease},
};

pub(super) async fn answer(ctx: &Ctx, request: pb::RenewLeaseRequest) -> Answer<pb::RenewLeaseResponse> {
    let name = parse::run_name("run", &request.run)?;
    let effort = Effort {
        graph_requests: request.graph_requests.max(0),
        bytes_received: request.bytes_received.max(0),
    };
    let activity = parse::activity(request.activity);
    let renewed =
        renew_lease::renew_lease(ctx, &name, request.epoch, effort, activity).await.map_err(status)?;
    let expire_time = Some(renewed.expire_time.to_proto());
    Ok(Response::new(pb::RenewLeaseResponse { expire_time, stop: renewed.stop }))
}
