//! `WorkerService.WatchThrottle`.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use service_kit::{clock::duration_to_proto, status::Violations};
use tokio_util::sync::CancellationToken;
use tonic::Response;

use super::{
    Answer, Streamed, parse,
    status::{shutting_down, status},
};
use crate::ops::{Ctx, throttle};

pub(super) fn answer(
    ctx: &Ctx,
    shutdown: &CancellationToken,
    request: &pb::WatchThrottleRequest,
) -> Answer<Streamed<pb::WatchThrottleResponse>> {
    let mut violations = Violations::new();
    let budget = violations.check("budget", parse::budget(&request.budget));
    violations.finish()?;
    let waits = throttle::watch(ctx.clone(), budget.unwrap_or_default().to_owned())
        .map(|wait| Ok(pb::WatchThrottleResponse { wait: Some(duration_to_proto(wait.map_err(status)?)) }));
    let ended = shutdown.clone().cancelled_owned();
    let waits = waits.take_until(ended).chain(futures_util::stream::once(async { Err(shutting_down()) }));
    Ok(Response::new(waits.boxed()))
}
