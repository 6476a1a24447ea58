//! `WorkerService.LeaseRun`.

use std::time::Duration;

use proto::sync::v1 as pb;
use service_kit::{
    clock::{Timestamp, duration_to_proto},
    status::Violations,
};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::{
    Answer, messages, parse,
    status::{shutting_down, status},
};
use crate::{
    domain::{names::SourceName, run::RunKind},
    ops::{Ctx, lease_run},
};

/// Longest name of a worker, in characters.
const MAX_WORKER: usize = 200;

/// Longest wait for a due source.
const MAX_WAIT: Duration = Duration::from_secs(30);

struct Query {
    worker: String,
    source: Option<SourceName>,
    kinds: Vec<RunKind>,
    wait: Duration,
}

pub(super) async fn answer(
    ctx: &Ctx,
    shutdown: &CancellationToken,
    request: pb::LeaseRunRequest,
) -> Answer<pb::LeaseRunResponse> {
    let Query { worker, source, kinds, wait } = parse_request(request)?;
    let leased = tokio::select! {
        leased = lease_run::lease_run(ctx, &worker, source.as_ref(), &kinds, wait) => leased.map_err(status)?,
        // Not "nothing is due": another replica may know better.
        () = shutdown.cancelled() => return Err(shutting_down()),
    };
    let lease = leased.map(|leased| pb::Lease {
        run: leased.run.to_string(),
        epoch: leased.source.lease.epoch,
        expire_time: leased.source.lease.expire_time.map(Timestamp::to_proto),
        ttl: Some(duration_to_proto(ctx.settings.lease_ttl)),
        cursor: leased.cursor.link().to_owned(),
        kind: messages::run_kind(leased.kind).into(),
        destination_expected: leased.source.destination_filled,
        source: Some(messages::source(&leased.source, ctx.now())),
    });
    Ok(Response::new(pb::LeaseRunResponse { lease }))
}

fn parse_request(request: pb::LeaseRunRequest) -> Result<Query, Status> {
    let mut bad = Violations::new();
    if request.worker.is_empty() || request.worker.chars().count() > MAX_WORKER {
        bad.add("worker", format!("must hold 1 to {MAX_WORKER} characters"));
    }
    let source = Some(request.source.as_str())
        .filter(|text| !text.is_empty())
        .and_then(|text| bad.check("source", SourceName::parse(text)));
    let limits = Duration::ZERO..=MAX_WAIT;
    let wait = parse::duration(&mut bad, "wait", request.wait.as_ref(), limits, Duration::ZERO);
    bad.finish()?;
    // Kinds of a later version are not for this service to lease.
    let kinds = request.kinds.into_iter().filter_map(parse::run_kind).collect();
    Ok(Query { worker: request.worker, source, kinds, wait })
}
