//! `WorkerService.WatchThrottle`.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use service_kit::{
    clock::duration_to_proto,
    server::{Streamed, streamed},
    status::Violations,
};
use tokio_util::sync::CancellationToken;
use tonic::Response;

use super::{
    Answer, parse,
    status::{shutting_down, status},
};
use crate::{
    domain::names::RunName,
    ops::{
        Ctx,
        throttle::{self, News},
    },
};

pub(super) async fn answer(
    ctx: &Ctx,
    shutdown: &CancellationToken,
    request: &pb::WatchThrottleRequest,
) -> Answer<Streamed<pb::WatchThrottleResponse>> {
    let mut violations = Violations::new();
    let budget = violations.check("budget", parse::budget(&request.budget)).unwrap_or_default();
    let run =
        if request.run.is_empty() { None } else { violations.check("run", RunName::parse(&request.run)) };
    violations.finish()?;
    if let Some(run) = run {
        throttle::join(ctx, budget, &run, request.epoch).await.map_err(status)?;
    }
    let news = throttle::watch(ctx.clone(), budget.to_owned()).map(|news| Ok(message(news.map_err(status)?)));
    let ended = shutdown.clone().cancelled_owned();
    let news = news.take_until(ended).chain(futures_util::stream::once(async { Err(shutting_down()) }));
    Ok(Response::new(streamed(news)))
}

fn message(news: News) -> pb::WatchThrottleResponse {
    pb::WatchThrottleResponse {
        wait: Some(duration_to_proto(news.wait)),
        units_per_minute: news.units_per_minute.unwrap_or_default(),
        sharers: news.sharers,
    }
}
