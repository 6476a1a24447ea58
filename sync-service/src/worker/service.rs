//! sync-service as a worker sees it: the calls of `WorkerService`, tried again while the service is away.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use proto::sync::v1::{self as pb, worker_service_client::WorkerServiceClient};
use service_kit::{clock::duration_to_proto, status::status_reason};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::WorkerError;
use crate::domain::names::SourceName;

/// First pause before a call is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause before a call is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How often a call is tried: about as long as a lease lives.
const MAX_TRIES: u32 = 15;

/// How often the end of a run is told, also by a worker that is to end itself.
const MAX_FINISH_TRIES: u32 = 5;

/// Longest time one call may take, besides the wait that it asks for.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest message taken from the service.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Kinds of runs that this version can do besides `RUN_KIND_SYNC`.
const KINDS: [pb::RunKind; 3] = [pb::RunKind::Plan, pb::RunKind::Verify, pb::RunKind::Heal];

/// The calls of `WorkerService`.
#[derive(Clone)]
pub(super) struct SyncService {
    client: WorkerServiceClient<Channel>,
    stop: CancellationToken,
}

impl SyncService {
    pub(super) fn new(endpoint: &Endpoint, stop: CancellationToken) -> Self {
        let client =
            WorkerServiceClient::new(endpoint.connect_lazy()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { client, stop }
    }

    pub(super) async fn lease(
        &self,
        worker: &str,
        source: Option<&SourceName>,
        wait: Duration,
    ) -> Result<Option<pb::Lease>, WorkerError> {
        let request = pb::LeaseRunRequest {
            worker: worker.to_owned(),
            source: source.map(ToString::to_string).unwrap_or_default(),
            wait: Some(duration_to_proto(wait)),
            kinds: KINDS.iter().map(|kind| (*kind).into()).collect(),
        };
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT + wait));
            async move { client.lease_run(request).await }
        };
        Ok(self.retried(call).await?.lease)
    }

    pub(super) async fn renew(
        &self,
        request: pb::RenewLeaseRequest,
    ) -> Result<pb::RenewLeaseResponse, WorkerError> {
        // Tried by the heartbeat's own rhythm, not here.
        let mut client = self.client.clone();
        Ok(client.renew_lease(timed(request, CALL_TIMEOUT)).await?.into_inner())
    }

    pub(super) async fn commit_page(
        &self,
        request: pb::CommitPageRequest,
    ) -> Result<pb::CommitPageResponse, WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.commit_page(request).await }
        };
        self.retried(call).await
    }

    /// The actions that can be done now. Only the start of the stream is tried again: when it breaks, the caller lists anew.
    pub(super) async fn list_actions(
        &self,
        request: pb::ListActionsRequest,
    ) -> Result<impl Stream<Item = Result<Vec<pb::Action>, WorkerError>> + use<>, WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), request.clone());
            async move { client.list_actions(request).await }
        };
        let stream = self.retried(call).await?;
        Ok(stream.map(|page| Ok(page?.actions)))
    }

    pub(super) async fn report(&self, request: pb::ReportOutcomesRequest) -> Result<(), WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.report_outcomes(request).await }
        };
        self.retried(call).await.map(|_| ())
    }

    /// Begins a rehearsal. It is not tried again: whoever asked for the plan asks again.
    pub(super) async fn plan(
        &self,
        steps: impl Stream<Item = pb::PlanRunRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<pb::PlanRunResponse>, WorkerError> {
        Ok(self.client.clone().plan_run(steps).await?.into_inner())
    }

    pub(super) async fn list_applied(
        &self,
        request: pb::ListAppliedRequest,
    ) -> Result<pb::ListAppliedResponse, WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.list_applied(request).await }
        };
        self.retried(call).await
    }

    pub(super) async fn report_drift(&self, request: pb::ReportDriftRequest) -> Result<(), WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.report_drift(request).await }
        };
        self.retried(call).await.map(|_| ())
    }

    pub(super) async fn report_findings(
        &self,
        request: pb::ReportFindingsRequest,
    ) -> Result<(), WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.report_findings(request).await }
        };
        self.retried(call).await.map(|_| ())
    }

    /// Tells that calls of a budget have to wait, or how much the provider grants.
    pub(super) async fn report_throttle(
        &self,
        budget: &str,
        wait: Duration,
        units_per_minute: u32,
    ) -> Result<(), WorkerError> {
        let wait = Some(duration_to_proto(wait));
        let request = pb::ReportThrottleRequest { budget: budget.to_owned(), wait, units_per_minute };
        let mut client = self.client.clone();
        client.report_throttle(timed(request, CALL_TIMEOUT)).await?;
        Ok(())
    }

    /// Hears how the budget stands that a run uses.
    pub(super) async fn watch_throttle(
        &self,
        budget: &str,
        lease: &pb::Lease,
    ) -> Result<tonic::Streaming<pb::WatchThrottleResponse>, WorkerError> {
        let mut client = self.client.clone();
        let (run, epoch) = (lease.run.clone(), lease.epoch);
        let request = pb::WatchThrottleRequest { budget: budget.to_owned(), run, epoch };
        Ok(client.watch_throttle(request).await?.into_inner())
    }

    pub(super) async fn finish(
        &self,
        request: pb::FinishRunRequest,
    ) -> Result<pb::FinishRunResponse, WorkerError> {
        let call = || {
            let (mut client, request) = (self.client.clone(), timed(request.clone(), CALL_TIMEOUT));
            async move { client.finish_run(request).await }
        };
        // Also while the worker is told to stop: a lease that is given back need not run out.
        tried(call, MAX_FINISH_TRIES).await
    }

    /// Tries a call again while the service is away, until the worker is to stop.
    async fn retried<T, F>(&self, call: impl Fn() -> F) -> Result<T, WorkerError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let stopped = self.stop.clone();
        // A call that is under way when the worker is told to stop still gets its answer; only the waiting ends.
        let first = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if passes(&status) => status,
            Err(status) => return Err(status.into()),
        };
        tracing::debug!(code = ?first.code(), "sync-service is away; trying again");
        tokio::select! {
            result = async {
                tokio::time::sleep(FIRST_PAUSE).await;
                tried(call, MAX_TRIES).await
            } => result,
            () = stopped.cancelled() => Err(WorkerError::ShuttingDown),
        }
    }
}

/// Tries a call up to so many times while the service is away. Every call that goes through here may be done twice.
async fn tried<T, F>(call: impl Fn() -> F, max_tries: u32) -> Result<T, WorkerError>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let mut pause = FIRST_PAUSE;
    let mut tries = 1;
    loop {
        let status = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        if !passes(&status) || tries == max_tries {
            return Err(status.into());
        }
        tracing::debug!(code = ?status.code(), tries, "sync-service is away; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        tries += 1;
    }
}

/// Whether a call may go well when it is tried again.
pub(super) fn passes(status: &Status) -> bool {
    let code = status.code();
    if matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded) {
        return true;
    }
    // What the service itself answers names a reason; without one, the connection broke under the call.
    matches!(code, Code::Unknown | Code::Internal | Code::Cancelled) && status_reason(status).is_none()
}

fn timed<T>(message: T, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(timeout);
    request
}
