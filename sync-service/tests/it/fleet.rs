//! Two hundred sources and eight workers that are killed: every source is synced, none by two workers at once, and no tenant starves.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use graph_client::GraphConfig;
use proto::{
    sync::v1::{
        self as pb, run_service_client::RunServiceClient, source_service_client::SourceServiceClient,
    },
    token::v1::{self as token_pb, connection_service_client::ConnectionServiceClient},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use service_kit::{
    clock::{Clock as _, ManualClock, SystemClock},
    database::DatabaseUrl,
    lifecycle::Lifecycle,
    server,
};
use simulator::{DriveHandle, DriveSpec, Simulator};
use sync_service::{
    destination::DEFAULT_BIN_RETENTION,
    domain::{fairness::Caps, run::RunState},
    ops::LEASE_TTL,
    worker::{DEFAULT_LINKS, RunEnd, Worker, WorkerConfig},
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::world::{World, drive_tree, read_tree, start_token_service};

const SOURCES: usize = 200;
const WORKERS: usize = 8;
const TENANTS: usize = 10;
/// Sources of the tenant that has most; the others share the rest.
const BIG_TENANT: usize = 110;
/// Runs at once of one tenant.
const CAP: u32 = 3;
/// Decides who is killed, and when.
const SEED: u64 = 200;
/// Times that workers are killed.
const ROUNDS: u64 = 3;

struct Fleet {
    home: TempDir,
    sim: Simulator,
    drives: Vec<DriveHandle>,
    clock: Arc<ManualClock>,
    token_address: SocketAddr,
    sync_address: SocketAddr,
    lifecycle: Lifecycle,
}

/// The tenant of a source. The big one's sources are made, and due, first.
fn tenant(source: usize) -> usize {
    if source < BIG_TENANT { 0 } else { 1 + source % (TENANTS - 1) }
}

fn name(source: usize) -> String {
    format!("tenants/t{}/sources/s{source}", tenant(source))
}

impl Fleet {
    async fn new(database: Option<DatabaseUrl>) -> Self {
        service_kit::tls::install_crypto_provider();
        let home = TempDir::new().unwrap();
        let sim = Simulator::start(simulator::Config::default()).await.unwrap();
        let lifecycle = Lifecycle::new();
        let token_address = start_token_service(&sim, home.path(), &lifecycle).await;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let database = database.unwrap_or_else(|| DatabaseUrl::sqlite(home.path().join("sync.db")));
        let config = sync_service::Config {
            caps: Caps { tenant: CAP, connection: CAP },
            ..sync_service::Config::new(database)
        };
        let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let time = Arc::<ManualClock>::clone(&clock);
        let app = sync_service::App::start(config, listener, &lifecycle, time).await.unwrap();
        let spec =
            |seed| DriveSpec { seed, files: 2, folders: 1, max_file_bytes: 100, ..DriveSpec::default() };
        let drives =
            (0..SOURCES).map(|n| sim.create_drive(&spec(u64::try_from(n).unwrap())).unwrap()).collect();
        let sync_address = app.address();
        let fleet = Self { home, sim, drives, clock, token_address, sync_address, lifecycle };
        for tenant in 0..TENANTS {
            fleet.connect(tenant).await;
        }
        for source in 0..SOURCES {
            fleet.create_source(source).await;
            fleet.clock.advance(Duration::from_millis(1));
        }
        fleet
    }

    async fn connect(&self, tenant: usize) {
        let scopes = "Files.Read.All User.Read offline_access openid profile";
        let refresh_token =
            self.sim.issue_refresh_token(simulator::PUBLIC_CLIENT_ID, scopes, simulator::FIRST_USER).unwrap();
        let credential =
            token_pb::create_connection_request::Credential::RefreshToken(token_pb::RefreshTokenCredential {
                refresh_token,
            });
        let request = token_pb::CreateConnectionRequest {
            parent: format!("tenants/t{tenant}"),
            connection_id: "mail".to_owned(),
            credential: Some(credential),
            ..Default::default()
        };
        let channel = World::endpoint(self.token_address).connect().await.unwrap();
        ConnectionServiceClient::new(channel).create_connection(request).await.unwrap();
    }

    async fn create_source(&self, source: usize) {
        let path = self.home.path().join(format!("m{source}")).to_str().unwrap().to_owned();
        let tenant = tenant(source);
        let message = pb::Source {
            connection: format!("tenants/t{tenant}/connections/mail"),
            drive: format!("drives/{}", self.drives[source].id()),
            destination: Some(pb::source::Destination::LocalFolder(pb::LocalFolder { path })),
            ..Default::default()
        };
        let request = pb::CreateSourceRequest {
            parent: format!("tenants/t{tenant}"),
            source_id: format!("s{source}"),
            source: Some(message),
        };
        SourceServiceClient::new(self.channel().await).create_source(request).await.unwrap();
    }

    async fn channel(&self) -> Channel {
        World::endpoint(self.sync_address).connect().await.unwrap()
    }

    fn worker(&self, number: usize) -> Worker {
        let endpoint = |address| -> Endpoint { World::endpoint(address) };
        let config = WorkerConfig {
            sync_service: endpoint(self.sync_address),
            token_service: endpoint(self.token_address),
            graph: GraphConfig::new(self.sim.graph().parse().unwrap()),
            name: format!("w{number}"),
            transfers: 2,
            links: DEFAULT_LINKS,
            bin_retention: DEFAULT_BIN_RETENTION,
            disk_reserve: 0,
        };
        Worker::new(config, Arc::new(SystemClock), CancellationToken::new()).unwrap()
    }

    /// Eight workers drain; those named are cut off in the middle of whatever they do. Gives how the runs of the others ended.
    async fn drain(&self, killed: BTreeMap<usize, Duration>) -> Vec<RunEnd> {
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            let worker = self.worker(number);
            let life = killed.get(&number).copied();
            workers.spawn(async move {
                match life {
                    // What ends is the life, as a kill would have it: nothing is told to anybody.
                    Some(life) => tokio::time::timeout(life, worker.drain()).await.unwrap_or(Ok(Vec::new())),
                    None => worker.drain().await,
                }
                .unwrap()
            });
        }
        workers.join_all().await.into_iter().flatten().collect()
    }

    async fn runs(&self) -> Vec<pb::Run> {
        let request = pb::ListRunsRequest { page_size: 1000, ..Default::default() };
        let mut runs =
            RunServiceClient::new(self.channel().await).list_runs(request).await.unwrap().into_inner().runs;
        runs.reverse();
        runs
    }

    async fn end(self) {
        assert!(self.sim.violations().is_empty(), "{:?}", self.sim.violations());
        self.lifecycle.shut_down(Duration::from_secs(10)).await;
        self.sim.stop().await;
    }
}

/// The whole life of a fleet on one database.
pub(crate) async fn live_on(database: Option<DatabaseUrl>) {
    let fleet = Fleet::new(database).await;
    let mut random = StdRng::seed_from_u64(SEED);
    for _ in 0..ROUNDS {
        let killed = (0..WORKERS / 2)
            .map(|number| (number, Duration::from_millis(random.random_range(50..1500))))
            .collect();
        let ends = fleet.drain(killed).await;
        assert!(ends.iter().all(|end| end.state == RunState::Succeeded), "{ends:?}");
        // The leases of the killed run out.
        fleet.clock.advance(LEASE_TTL + Duration::from_secs(1));
    }
    fleet.drain(BTreeMap::new()).await;

    let runs = fleet.runs().await;
    let synced: BTreeSet<&str> = runs.iter().map(|run| run.name.split("/runs/").next().unwrap()).collect();
    assert_eq!(synced.len(), SOURCES, "every source is synced");
    // Two workers with one source at once would find the destination taken, and another run begun.
    assert_eq!(runs.len(), SOURCES, "one run each: those of the killed were taken over");
    assert!(runs.iter().all(|run| run.state() == pb::RunState::Succeeded));
    for source in 0..SOURCES {
        let found = read_tree(&fleet.home.path().join(format!("m{source}")));
        assert!(found == drive_tree(&fleet.drives[source]), "{} differs", name(source));
    }

    // The big tenant's sources were all due before the others', and yet everybody was served from the beginning.
    let first = runs.iter().take(TENANTS * 2).map(|run| run.name.split('/').nth(1).unwrap());
    assert_eq!(first.collect::<BTreeSet<_>>().len(), TENANTS);
    assert!(fleet.drain(BTreeMap::new()).await.is_empty(), "nothing is due: draining ends at once");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sources_and_eight_workers_that_are_killed() {
    live_on(None).await;
}
