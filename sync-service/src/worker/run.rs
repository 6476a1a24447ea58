//! One run: list, apply, finish; with a heartbeat beside it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use graph_client::DrivePath;
use proto::sync::v1 as pb;
use service_kit::{
    clock::{Timestamp, duration_to_proto},
    error_chain::ErrorChain,
};
use tokio_util::sync::CancellationToken;

use super::{
    RunEnd, Worker, WorkerError,
    apply::Applier,
    end::Remark,
    execute::Executor,
    heartbeat,
    ingest::{Listing, Mirror, ingest},
    links::Links,
    meter::Spent,
    plan, recover, throttle,
    transfer::Transfers,
    verify,
};
use crate::{
    destination::{Destination, DestinationError, LocalFolder, LocalFolderOptions, Marker},
    domain::run::{FinishState, Remainder, RunState, final_state},
};

/// Tells the work to stop between two items.
#[derive(Clone)]
pub(super) struct Stop {
    /// Somebody cancelled the run.
    pub(super) run_cancelled: CancellationToken,
    /// The worker is to end.
    pub(super) shutting_down: CancellationToken,
}

impl Stop {
    /// An error once the work is to stop.
    pub(super) fn check(&self) -> Result<(), WorkerError> {
        if self.run_cancelled.is_cancelled() {
            Err(WorkerError::Cancelled)
        } else if self.shutting_down.is_cancelled() {
            Err(WorkerError::ShuttingDown)
        } else {
            Ok(())
        }
    }

    /// Waits until the work is to stop.
    pub(super) async fn told(&self) -> WorkerError {
        tokio::select! {
            () = self.run_cancelled.cancelled() => WorkerError::Cancelled,
            () = self.shutting_down.cancelled() => WorkerError::ShuttingDown,
        }
    }
}

/// Does a leased run and finishes it.
pub(super) async fn run(worker: &Worker, lease: pb::Lease) -> RunEnd {
    tracing::info!(run = %lease.run, epoch = lease.epoch, "run leased");
    let spent = Spent::new(Arc::clone(&worker.graphs));
    let stop = Stop { run_cancelled: CancellationToken::new(), shutting_down: worker.stop.clone() };
    let result = tokio::select! {
        result = work(worker, &lease, &spent, &stop) => result,
        error = heartbeat::keep(&worker.service, &lease, &spent, &stop.run_cancelled) => Err(error),
    };
    let end = finish(worker, &lease, &spent, result).await;
    match &end.error {
        None => tracing::info!(run = %end.run, state = ?end.state, left = end.items_left, "run finished"),
        Some(error) => tracing::warn!(run = %end.run, error = %ErrorChain(error), "run stopped early"),
    }
    end
}

async fn work(
    worker: &Worker,
    lease: &pb::Lease,
    spent: &Spent,
    stop: &Stop,
) -> Result<Option<Remark>, WorkerError> {
    match lease.kind() {
        // A service of before knows no other kind.
        pb::RunKind::Sync | pb::RunKind::Heal | pb::RunKind::Unspecified => {
            mirror(worker, lease, spent, stop).await.map(|()| None)
        }
        pb::RunKind::Plan => plan::plan(worker, lease, spent, stop).await,
        pb::RunKind::Verify => verify::verify(worker, lease, spent, stop).await.map(|()| None),
    }
}

async fn mirror(worker: &Worker, lease: &pb::Lease, spent: &Spent, stop: &Stop) -> Result<(), WorkerError> {
    let source = source_of(lease)?;
    let drive = DrivePath::parse(&source.drive).or(Err(WorkerError::Protocol("a source without a drive")))?;
    // Before anything is listed: a run that cannot write its destination is to say so at once.
    let options = LocalFolderOptions {
        clock: Arc::clone(&worker.clock),
        bin_retention: worker.bin_retention,
        reserve: worker.disk_reserve,
    };
    let destination = open_destination(source, lease.destination_expected, options).await?;
    let tokens: Arc<dyn graph_client::TokenSource> =
        Arc::new(worker.tokens.connection(source.connection.clone(), Arc::clone(&worker.clock)));

    recover::report_made(&worker.service, destination.as_ref(), lease).await?;
    if lease.kind() == pb::RunKind::Heal {
        verify::verify(worker, lease, spent, stop).await?;
    }
    let budget = worker.tokens.budget(&source.connection).await;
    let graph = worker.graphs.of(&budget);
    spent.follow(Arc::clone(&graph));
    let links = Arc::new(Links::new(worker.links));
    let transfers = Transfers {
        graph: Arc::clone(&graph),
        tokens: Arc::clone(&tokens),
        drive: drive.clone(),
        links: Arc::clone(&links),
        spent: spent.clone(),
        unfinished: Mutex::default(),
    };
    let applier = Applier {
        service: worker.service.clone(),
        executor: Arc::new(Executor::new(Arc::clone(&destination), transfers)),
        destination,
        run: lease.run.clone(),
        epoch: lease.epoch,
        transfers: worker.transfers,
        stop: stop.clone(),
    };
    let listing = Listing { graph: &graph, tokens: tokens.as_ref(), drive: &drive, links: &links, stop };
    let mut pages = Mirror { service: &worker.service, links: &links, applier: &applier };
    let mirror = Box::pin(async {
        ingest(&listing, &mut pages, lease, lease.cursor.clone()).await?;
        applier.apply(false).await?;
        Ok(applier.executor.clear_parts().await?)
    });
    throttle::sharing(&worker.service, &graph, (&budget, lease), mirror).await?;
    if let Err(error) = applier.destination.tidy().await {
        tracing::warn!(run = %lease.run, error = %ErrorChain(&error), "the bin could not be cleared");
    }
    // Everything that needs no room is done by now.
    match applier.executor.did_not_fit() {
        0 => Ok(()),
        files => Err(DestinationError::Full { files, reserve: worker.disk_reserve }.into()),
    }
}

async fn open_destination(
    source: &pb::Source,
    filled_before: bool,
    options: LocalFolderOptions,
) -> Result<Arc<dyn Destination>, WorkerError> {
    let (path, marker) = destination_of(source)?;
    let folder = LocalFolder::open(&path, &marker, filled_before, options).await?;
    Ok(Arc::new(folder))
}

/// The source of a lease.
pub(super) fn source_of(lease: &pb::Lease) -> Result<&pb::Source, WorkerError> {
    lease.source.as_ref().ok_or(WorkerError::Protocol("a lease without a source"))
}

/// Where a source goes, and what its folder is known by.
pub(super) fn destination_of(source: &pb::Source) -> Result<(PathBuf, Marker), WorkerError> {
    let Some(pb::source::Destination::LocalFolder(folder)) = &source.destination else {
        return Err(WorkerError::Protocol("a source without a destination that this version knows"));
    };
    let made = source.create_time.as_ref().and_then(Timestamp::from_proto);
    let marker = Marker {
        source: source.name.clone(),
        source_create_time: made.map(|time| time.to_string()).unwrap_or_default(),
    };
    Ok((PathBuf::from(&folder.path), marker))
}

async fn finish(
    worker: &Worker,
    lease: &pb::Lease,
    spent: &Spent,
    result: Result<Option<Remark>, WorkerError>,
) -> RunEnd {
    let (remark, error) = match result {
        Ok(remark) => (remark, None),
        Err(error) => (Some(Remark { reason: error.reason(), detail: error.to_string() }), Some(error)),
    };
    let Remark { reason, detail } = remark.unwrap_or_default();
    let finish = error.as_ref().map_or(FinishState::Completed, WorkerError::finish_state);
    let mut end =
        RunEnd { run: lease.run.clone(), state: RunState::Failed, items_left: 0, deletions_held: 0, error };
    if matches!(end.error, Some(WorkerError::LeaseLost)) {
        // Whoever has the run now finishes it.
        return end;
    }
    let state = match finish {
        FinishState::Completed => pb::FinishState::Completed,
        FinishState::Failed => pb::FinishState::Failed,
        FinishState::NeedsPerson => pb::FinishState::NeedsPerson,
        FinishState::Cancelled => pb::FinishState::Cancelled,
    };
    let request = pb::FinishRunRequest {
        run: lease.run.clone(),
        epoch: lease.epoch,
        state: state.into(),
        reason,
        detail,
        graph_requests: spent.graph_requests(),
        bytes_received: spent.bytes_received(),
        activity: Some(spent.activity()),
        retry_after: end.error.as_ref().and_then(WorkerError::retry_after).map(duration_to_proto),
    };
    match worker.service.finish(request).await {
        Ok(response) => {
            end.items_left = response.items_left;
            end.deletions_held = response.deletions_held;
            let left = Remainder {
                listing_complete: true,
                items_left: response.items_left,
                deletions_held: response.deletions_held,
            };
            end.state = final_state(finish, left).0;
        }
        // The lease runs out and another worker takes the run over: nothing is lost.
        Err(error) => end.error = Some(end.error.unwrap_or(error)),
    }
    end
}
