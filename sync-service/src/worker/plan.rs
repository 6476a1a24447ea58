//! Finds out what a run would do: reads the feed for a rehearsal, and looks at the destination without touching it.

use std::sync::Arc;

use futures_util::stream;
use graph_client::DrivePath;
use proto::sync::v1::{self as pb, plan_run_request, plan_run_response};
use tokio::sync::mpsc;

use super::{
    Worker, WorkerError,
    end::Remark,
    findings::Findings,
    foresight::Foresight,
    ingest::{Listing, Pages, ingest},
    links::Links,
    meter::Spent,
    run::{Stop, destination_of, source_of},
    throttle,
};
use crate::{destination::Onlooker, ops::report_outcomes::DESTINATION_FULL};

/// Does a leased run that plans. Gives what is to be said of the plan as a whole.
pub(super) async fn plan(
    worker: &Worker,
    lease: &pb::Lease,
    spent: &Spent,
    stop: &Stop,
) -> Result<Option<Remark>, WorkerError> {
    let source = source_of(lease)?;
    let drive = DrivePath::parse(&source.drive).or(Err(WorkerError::Protocol("a source without a drive")))?;
    let (path, marker) = destination_of(source)?;
    let onlooker = Onlooker::open(path.clone(), marker, lease.destination_expected).await?;
    let space = match &onlooker {
        Some(onlooker) => onlooker.free_space(worker.disk_reserve).await?,
        None => Onlooker::free_space_for_new(path, worker.disk_reserve).await?,
    };
    let mut foresight = Foresight::new(onlooker, space);
    let tokens = worker.tokens.connection(source.connection.clone(), Arc::clone(&worker.clock));
    let budget = worker.tokens.budget(&source.connection).await;
    let graph = worker.graphs.of(&budget);
    spent.follow(Arc::clone(&graph));
    // Nothing is transferred: no link is kept beyond its page.
    let links = Links::new(1);
    let listing = Listing { graph: &graph, tokens: &tokens, drive: &drive, links: &links, stop };
    let work = Box::pin(async {
        let mut rehearsal = Rehearsal::begin(worker, lease, &links, foresight.folds_names()).await?;
        let cursor = rehearsal.position().await?.cursor;
        ingest(&listing, &mut rehearsal, lease, cursor).await?;
        let mut findings = Findings::new(&worker.service, lease);
        while let Some(actions) = rehearsal.planned(stop).await? {
            findings.report(foresight.look_at(actions).await?).await?;
        }
        Ok(foresight.shortage().map(|detail| Remark { reason: DESTINATION_FULL.to_owned(), detail }))
    });
    throttle::sharing(&worker.service, &graph, (&budget, lease), work).await
}

/// The call of a rehearsal.
struct Rehearsal<'a> {
    steps: mpsc::Sender<pb::PlanRunRequest>,
    answers: tonic::Streaming<pb::PlanRunResponse>,
    links: &'a Links,
    folds_names: bool,
}

impl<'a> Rehearsal<'a> {
    async fn begin(
        worker: &Worker,
        lease: &pb::Lease,
        links: &'a Links,
        folds_names: bool,
    ) -> Result<Self, WorkerError> {
        // Each step waits for the answer to the one before.
        let (steps, mut taken) = mpsc::channel(1);
        let sent = stream::poll_fn(move |context| taken.poll_recv(context));
        let start = pb::PlanStart { run: lease.run.clone(), epoch: lease.epoch };
        let rehearsal = Self { steps, answers: worker.service.plan(sent).await?, links, folds_names };
        rehearsal.send(plan_run_request::Step::Start(start)).await;
        Ok(rehearsal)
    }

    async fn send(&self, step: plan_run_request::Step) {
        // A call that has ended says why when its answer is read.
        drop(self.steps.send(pb::PlanRunRequest { step: Some(step) }).await);
    }

    async fn position(&mut self) -> Result<pb::CommitPageResponse, WorkerError> {
        match self.answers.message().await?.and_then(|answer| answer.step) {
            Some(plan_run_response::Step::Position(position)) => Ok(position),
            Some(plan_run_response::Step::Planned(_)) | None => {
                Err(WorkerError::Protocol("a rehearsal that does not say where its listing is"))
            }
        }
    }

    /// What would be done next; nothing at the end.
    async fn planned(&mut self, stop: &Stop) -> Result<Option<Vec<pb::PlannedAction>>, WorkerError> {
        let answer = tokio::select! {
            answer = self.answers.message() => answer?,
            told = stop.told() => return Err(told),
        };
        match answer.map(|answer| answer.step) {
            Some(Some(plan_run_response::Step::Planned(planned))) => Ok(Some(planned.actions)),
            Some(Some(plan_run_response::Step::Position(_)) | None) => {
                Err(WorkerError::Protocol("a rehearsal that does not say what would be done"))
            }
            None => Ok(None),
        }
    }
}

impl Pages for Rehearsal<'_> {
    async fn commit(&mut self, page: pb::CommitPageRequest) -> Result<pb::CommitPageResponse, WorkerError> {
        self.links.clear();
        self.send(plan_run_request::Step::Page(page)).await;
        self.position().await
    }

    fn folds_names(&self) -> bool {
        self.folds_names
    }

    async fn between(&mut self) -> Result<(), WorkerError> {
        Ok(())
    }
}
