//! `WorkerService.PlanRun`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use proto::sync::v1::{self as pb, plan_run_request, plan_run_response};
use service_kit::server::{Streamed, streamed};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status, Streaming};

use super::{
    commit_page, messages, parse,
    status::{shutting_down, status},
};
use crate::ops::{
    Ctx, OpError,
    commit_page::Position,
    plan_run::{Planned, Rehearsal},
};

type Plan = Pin<Box<dyn Stream<Item = Result<Vec<Planned>, OpError>> + Send>>;

/// Where the call is.
enum Stage {
    /// Nothing is copied yet.
    Start,
    /// Pages come.
    Listing(Box<Rehearsal>),
    /// The plan goes.
    Planning(Plan),
}

pub(super) fn answer(
    ctx: &Ctx,
    shutdown: &CancellationToken,
    requests: Streaming<pb::PlanRunRequest>,
) -> Response<Streamed<pb::PlanRunResponse>> {
    let (ctx, shutdown) = (ctx.clone(), shutdown.clone());
    let steps = stream::try_unfold((Stage::Start, requests), move |(stage, mut requests)| {
        let (ctx, shutdown) = (ctx.clone(), shutdown.clone());
        async move {
            let next = tokio::select! {
                next = next(ctx, stage, &mut requests) => next?,
                () = shutdown.cancelled() => return Err(shutting_down()),
            };
            Ok(next.map(|(step, stage)| (pb::PlanRunResponse { step: Some(step) }, (stage, requests))))
        }
    });
    Response::new(streamed(steps))
}

/// Does one step; nothing after the last.
async fn next(
    ctx: Ctx,
    stage: Stage,
    requests: &mut Streaming<pb::PlanRunRequest>,
) -> Result<Option<(plan_run_response::Step, Stage)>, Status> {
    match stage {
        Stage::Start => {
            let Some(plan_run_request::Step::Start(start)) = step(requests).await? else {
                return Err(out_of_order("the first message must be a start"));
            };
            let name = parse::run_name("start.run", &start.run)?;
            let (rehearsal, at) = Rehearsal::begin(ctx, name, start.epoch).await.map_err(status)?;
            Ok(Some((position(at), Stage::Listing(Box::new(rehearsal)))))
        }
        Stage::Listing(rehearsal) => {
            let page = match step(requests).await? {
                Some(plan_run_request::Step::Page(page)) => page,
                Some(plan_run_request::Step::Start(_)) => {
                    return Err(out_of_order("only the first message is a start"));
                }
                None => return Ok(None),
            };
            let folds_names = page.destination_folds_names;
            let (_, read_with, reading) = commit_page::parse_request(page)?;
            let at = rehearsal.commit(&read_with, reading, folds_names).await.map_err(status)?;
            let stage = if at.listing_complete {
                Stage::Planning(rehearsal.plan().boxed())
            } else {
                Stage::Listing(rehearsal)
            };
            Ok(Some((position(at), stage)))
        }
        Stage::Planning(mut plan) => {
            let Some(page) = plan.next().await else { return Ok(None) };
            let actions = page.map_err(status)?.into_iter().map(messages::planned).collect();
            let planned = plan_run_response::Step::Planned(pb::PlannedActions { actions });
            Ok(Some((planned, Stage::Planning(plan))))
        }
    }
}

async fn step(
    requests: &mut Streaming<pb::PlanRunRequest>,
) -> Result<Option<plan_run_request::Step>, Status> {
    Ok(requests.message().await?.and_then(|request| request.step))
}

fn position(at: Position) -> plan_run_response::Step {
    let (cursor, listing_complete) = (at.cursor, at.listing_complete);
    plan_run_response::Step::Position(pb::CommitPageResponse { cursor, listing_complete })
}

fn out_of_order(what: &str) -> Status {
    let mut bad = service_kit::status::Violations::new();
    bad.add("step", what);
    bad.finish().err().map_or_else(parse::broken, Into::into)
}
