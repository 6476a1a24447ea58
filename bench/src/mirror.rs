//! A simulated drive and what mirrors it: token service, sync service and workers, each in a process of its own.

use std::time::Duration;

use proto::sync::v1::{
    self as pb, run_service_client::RunServiceClient, source_service_client::SourceServiceClient,
};
use service_kit::{database::DatabaseUrl, exit::Exit, process::Failure};
use simulator::{DriveHandle, DriveSpec};
use tokio::time::{Instant, sleep};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{
    cli::DatabaseArgs,
    part::{Part, sync_service, worker},
    setting::Setting,
};

/// How often it is looked whether a run has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A drive, a source that mirrors it, and the services.
pub(crate) struct Mirror {
    pub(crate) setting: Setting,
    pub(crate) drive: DriveHandle,
    pub(crate) sync_service: Part,
    token_service: Part,
    database: DatabaseUrl,
    source: String,
    sources: SourceServiceClient<Channel>,
    runs: RunServiceClient<Channel>,
}

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) stats: pb::RunStats,
    pub(crate) took: Duration,
    /// Requests to the simulated Graph, downloads included.
    pub(crate) requests: u64,
}

impl Mirror {
    /// Mirrors nothing yet.
    pub(crate) async fn new(
        spec: &DriveSpec,
        database: &DatabaseArgs,
        filter: Option<pb::Filter>,
    ) -> Result<Self, Failure> {
        let setting = Setting::new(&DatabaseArgs { database: None }).await?;
        let drive = setting.simulator.create_drive(spec).map_err(|error| Failure::new(Exit::Usage, error))?;
        let token_service = setting.token_service().await?;
        let connections = setting.connect(&token_service, 1).await?;
        let connection = connections.first().cloned().unwrap_or_default();
        let own = || DatabaseUrl::sqlite(setting.folder.path().join("sync.db"));
        let database = database.database.clone().unwrap_or_else(own);
        let log = setting.folder.path().join("sync-service.log");
        let sync_service = Part::start(&sync_service::Options::arguments(&database), log).await?;
        let unreachable = |error: tonic::transport::Error| Failure::new(Exit::Unavailable, error);
        let endpoint = Endpoint::from_shared(format!("http://{}", sync_service.address()));
        let channel = endpoint.map_err(unreachable)?.connect().await.map_err(unreachable)?;
        let mut sources = SourceServiceClient::new(channel.clone());
        let tenant = connection.split("/connections").next().unwrap_or_default();
        let path = setting.folder.path().join("mirror").display().to_string();
        let request = pb::CreateSourceRequest {
            parent: tenant.to_owned(),
            source_id: "drive".to_owned(),
            source: Some(pb::Source {
                drive: format!("drives/{}", drive.id()),
                destination: Some(pb::source::Destination::LocalFolder(pb::LocalFolder { path })),
                filter,
                connection: connection.clone(),
                ..Default::default()
            }),
        };
        sources.create_source(request).await.map_err(|status| refused(&status))?;
        let source = format!("{tenant}/sources/drive");
        let runs = RunServiceClient::new(channel);
        Ok(Self { setting, drive, sync_service, token_service, database, source, sources, runs })
    }

    /// The kind of database, in words.
    pub(crate) fn database(&self) -> &'static str {
        if self.database.is_sqlite() { "SQLite" } else { "PostgreSQL" }
    }

    /// A worker that has done nothing yet.
    pub(crate) async fn worker(&self) -> Result<Part, Failure> {
        let (sync, token) = (self.sync_service.address(), self.token_service.address());
        let arguments = worker::Options::arguments(sync, token, &self.setting.simulator.graph());
        Part::start(&arguments, self.setting.folder.path().join("worker.log")).await
    }

    /// Runs the source once, to a good end.
    pub(crate) async fn run(&mut self, worker: &mut Part) -> Result<Run, Failure> {
        let before = self.latest_run().await?;
        self.setting.simulator.reset_counters();
        let began = Instant::now();
        worker.order(&format!("{}{}", worker::RUN, self.source))?;
        let name = loop {
            let latest = self.latest_run().await?;
            if latest != before {
                break latest;
            }
            sleep(LOOK_EVERY).await;
        };
        loop {
            let request = pb::GetRunRequest { name: name.clone() };
            let run = self
                .runs
                .get_run(request)
                .await
                .map_err(|status| refused(&status))?
                .into_inner()
                .run
                .unwrap_or_default();
            match run.state() {
                pb::RunState::Running => sleep(LOOK_EVERY).await,
                pb::RunState::Succeeded => {
                    let counts = self.setting.simulator.counters();
                    let requests = counts.graph_requests + counts.of(simulator::Endpoint::Download);
                    return Ok(Run { stats: run.stats.unwrap_or_default(), took: began.elapsed(), requests });
                }
                state @ (pb::RunState::Unspecified
                | pb::RunState::Partial
                | pb::RunState::Failed
                | pb::RunState::NeedsPerson
                | pb::RunState::Cancelled) => {
                    let text = format!("the run ended as {state:?}: {} {}", run.reason, run.detail);
                    return Err(Failure::new(Exit::Failure, text));
                }
            }
        }
    }

    async fn latest_run(&mut self) -> Result<String, Failure> {
        let request = pb::GetSourceRequest { name: self.source.clone() };
        let answer = self.sources.get_source(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner().source.unwrap_or_default().latest_run)
    }
}

fn refused(status: &Status) -> Failure {
    Failure::new(Exit::Failure, format!("sync-service: {}", status.message()))
}
