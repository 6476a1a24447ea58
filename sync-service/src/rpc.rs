//! The gRPC face of sync-service: each method parses, asks an operation, and answers. One file per RPC.

mod approve_deletions;
mod cancel_run;
mod commit_page;
mod create_source;
mod delete_source;
mod finish_run;
mod get_run;
mod get_source;
mod lease_run;
mod list_actions;
mod list_applied;
mod list_findings;
mod list_runs;
mod list_sources;
mod messages;
mod parse;
mod plan_run;
mod renew_lease;
mod report_drift;
mod report_findings;
mod report_outcomes;
mod report_throttle;
mod start_run;
mod status;
mod sync_source;
mod update_source;
mod watch_run;
mod watch_throttle;

use proto::sync::v1 as pb;
use service_kit::server::Streamed;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::ops::Ctx;

type Answer<T> = Result<Response<T>, Status>;

/// `SourceService`.
#[derive(Clone)]
pub struct Sources {
    ctx: Ctx,
}

/// `RunService`.
#[derive(Clone)]
pub struct Runs {
    ctx: Ctx,
    shutdown: CancellationToken,
}

/// `WorkerService`.
#[derive(Clone)]
pub struct Workers {
    ctx: Ctx,
    shutdown: CancellationToken,
}

impl Sources {
    /// Serves sources.
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx }
    }
}

impl Runs {
    /// Serves runs; streams end when `shutdown` is cancelled.
    pub fn new(ctx: Ctx, shutdown: CancellationToken) -> Self {
        Self { ctx, shutdown }
    }
}

impl Workers {
    /// Serves workers; waiting calls end when `shutdown` is cancelled.
    pub fn new(ctx: Ctx, shutdown: CancellationToken) -> Self {
        Self { ctx, shutdown }
    }
}

#[tonic::async_trait]
impl pb::source_service_server::SourceService for Sources {
    async fn create_source(
        &self,
        request: Request<pb::CreateSourceRequest>,
    ) -> Answer<pb::CreateSourceResponse> {
        create_source::answer(&self.ctx, request.into_inner()).await
    }
    async fn get_source(&self, request: Request<pb::GetSourceRequest>) -> Answer<pb::GetSourceResponse> {
        get_source::answer(&self.ctx, request.into_inner()).await
    }
    async fn list_sources(
        &self,
        request: Request<pb::ListSourcesRequest>,
    ) -> Answer<pb::ListSourcesResponse> {
        list_sources::answer(&self.ctx, request.into_inner()).await
    }
    async fn update_source(
        &self,
        request: Request<pb::UpdateSourceRequest>,
    ) -> Answer<pb::UpdateSourceResponse> {
        update_source::answer(&self.ctx, request.into_inner()).await
    }
    async fn delete_source(
        &self,
        request: Request<pb::DeleteSourceRequest>,
    ) -> Answer<pb::DeleteSourceResponse> {
        delete_source::answer(&self.ctx, request.into_inner()).await
    }
    async fn sync_source(&self, request: Request<pb::SyncSourceRequest>) -> Answer<pb::SyncSourceResponse> {
        sync_source::answer(&self.ctx, request.into_inner()).await
    }
    async fn start_run(&self, request: Request<pb::StartRunRequest>) -> Answer<pb::StartRunResponse> {
        start_run::answer(&self.ctx, request.into_inner()).await
    }
}

#[tonic::async_trait]
impl pb::run_service_server::RunService for Runs {
    type WatchRunStream = Streamed<pb::WatchRunResponse>;

    async fn get_run(&self, request: Request<pb::GetRunRequest>) -> Answer<pb::GetRunResponse> {
        get_run::answer(&self.ctx, request.into_inner()).await
    }
    async fn list_runs(&self, request: Request<pb::ListRunsRequest>) -> Answer<pb::ListRunsResponse> {
        list_runs::answer(&self.ctx, request.into_inner()).await
    }
    async fn watch_run(&self, request: Request<pb::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        watch_run::answer(&self.ctx, &self.shutdown, request.into_inner()).await
    }
    async fn cancel_run(&self, request: Request<pb::CancelRunRequest>) -> Answer<pb::CancelRunResponse> {
        cancel_run::answer(&self.ctx, request.into_inner()).await
    }
    async fn approve_deletions(
        &self,
        request: Request<pb::ApproveDeletionsRequest>,
    ) -> Answer<pb::ApproveDeletionsResponse> {
        approve_deletions::answer(&self.ctx, request.into_inner()).await
    }
    async fn list_findings(
        &self,
        request: Request<pb::ListFindingsRequest>,
    ) -> Answer<pb::ListFindingsResponse> {
        list_findings::answer(&self.ctx, request.into_inner()).await
    }
}

#[tonic::async_trait]
impl pb::worker_service_server::WorkerService for Workers {
    type ListActionsStream = Streamed<pb::ListActionsResponse>;
    type PlanRunStream = Streamed<pb::PlanRunResponse>;
    type WatchThrottleStream = Streamed<pb::WatchThrottleResponse>;

    async fn lease_run(&self, request: Request<pb::LeaseRunRequest>) -> Answer<pb::LeaseRunResponse> {
        lease_run::answer(&self.ctx, &self.shutdown, request.into_inner()).await
    }
    async fn renew_lease(&self, request: Request<pb::RenewLeaseRequest>) -> Answer<pb::RenewLeaseResponse> {
        renew_lease::answer(&self.ctx, request.into_inner()).await
    }
    async fn commit_page(&self, request: Request<pb::CommitPageRequest>) -> Answer<pb::CommitPageResponse> {
        commit_page::answer(&self.ctx, request.into_inner()).await
    }
    async fn list_actions(
        &self,
        request: Request<pb::ListActionsRequest>,
    ) -> Answer<Self::ListActionsStream> {
        list_actions::answer(&self.ctx, request.get_ref())
    }
    async fn report_outcomes(
        &self,
        request: Request<pb::ReportOutcomesRequest>,
    ) -> Answer<pb::ReportOutcomesResponse> {
        report_outcomes::answer(&self.ctx, request.into_inner()).await
    }
    async fn plan_run(&self, request: Request<Streaming<pb::PlanRunRequest>>) -> Answer<Self::PlanRunStream> {
        Ok(plan_run::answer(&self.ctx, &self.shutdown, request.into_inner()))
    }
    async fn list_applied(
        &self,
        request: Request<pb::ListAppliedRequest>,
    ) -> Answer<pb::ListAppliedResponse> {
        list_applied::answer(&self.ctx, request.into_inner()).await
    }
    async fn report_drift(
        &self,
        request: Request<pb::ReportDriftRequest>,
    ) -> Answer<pb::ReportDriftResponse> {
        report_drift::answer(&self.ctx, request.into_inner()).await
    }
    async fn report_findings(
        &self,
        request: Request<pb::ReportFindingsRequest>,
    ) -> Answer<pb::ReportFindingsResponse> {
        report_findings::answer(&self.ctx, request.into_inner()).await
    }
    async fn report_throttle(
        &self,
        request: Request<pb::ReportThrottleRequest>,
    ) -> Answer<pb::ReportThrottleResponse> {
        report_throttle::answer(&self.ctx, request.into_inner()).await
    }
    async fn watch_throttle(
        &self,
        request: Request<pb::WatchThrottleRequest>,
    ) -> Answer<Self::WatchThrottleStream> {
        watch_throttle::answer(&self.ctx, &self.shutdown, &request.into_inner()).await
    }
    async fn finish_run(&self, request: Request<pb::FinishRunRequest>) -> Answer<pb::FinishRunResponse> {
        finish_run::answer(&self.ctx, request.into_inner()).await
    }
}
