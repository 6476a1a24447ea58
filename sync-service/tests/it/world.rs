//! Everything a run needs, on loopback: the simulator, token-service and sync-service over real gRPC, and workers.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use graph_client::GraphConfig;
use proto::{
    sync::v1::{
        self as pb, run_service_client::RunServiceClient, source_service_client::SourceServiceClient,
        worker_service_client::WorkerServiceClient,
    },
    token::v1 as token_pb,
};
use service_kit::{
    clock::{Clock as _, ManualClock, SystemClock},
    database::{DatabaseUrl, PoolOptions},
    lifecycle::Lifecycle,
    server::{self, ServerLimits},
};
use simulator::{DriveHandle, DriveSpec, EntryKind, NameStyle, Simulator};
use sync_service::{
    domain::{local_name, names::SourceName},
    ops::LEASE_TTL,
    worker::{DEFAULT_BIN_RETENTION, DEFAULT_LINKS, RunEnd, Worker, WorkerConfig},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

pub(crate) const SOURCE: &str = "tenants/acme/sources/docs";
pub(crate) const CONNECTION: &str = "tenants/acme/connections/mail";

/// How long a condition is waited for: far longer than it should ever take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Path to content; `None` for a folder. A separator that no name holds stands between the segments.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

pub(crate) struct World {
    pub(crate) home: TempDir,
    pub(crate) sim: Simulator,
    pub(crate) drive: DriveHandle,
    pub(crate) sync_address: SocketAddr,
    /// sync-service's time; it moves only when it is told to.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) token_address: SocketAddr,
    units_per_minute: Option<u32>,
    token_lifecycle: Lifecycle,
    sync_lifecycle: Lifecycle,
}

/// How workers of a test differ from the usual ones.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Tells the worker to stop.
    pub(crate) stop: CancellationToken,
    /// Another way to sync-service.
    pub(crate) sync_service: Option<SocketAddr>,
    /// Bytes that are to stay free.
    pub(crate) disk_reserve: u64,
    /// Links kept while listing, and items on a page, instead of the defaults.
    pub(crate) links_and_page: Option<(usize, u16)>,
}

pub(crate) fn source_name() -> SourceName {
    SourceName::parse(SOURCE).unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

/// A drive without anything in it.
pub(crate) fn empty_drive() -> DriveSpec {
    DriveSpec { files: 0, folders: 0, ..small_drive() }
}

/// A small drive with every kind of name.
pub(crate) fn small_drive() -> DriveSpec {
    DriveSpec {
        seed: 7,
        files: 60,
        folders: 12,
        max_file_bytes: 20_000,
        names: NameStyle::Varied,
        ..DriveSpec::default()
    }
}

impl World {
    /// A drive, a connection to it, and a source that mirrors it.
    pub(crate) async fn new(spec: &DriveSpec) -> Self {
        Self::with_budget(spec, None).await
    }

    /// The same, with a sync-service that knows how many resource units there are in a minute.
    pub(crate) async fn with_budget(spec: &DriveSpec, units_per_minute: Option<u32>) -> Self {
        service_kit::tls::install_crypto_provider();
        let home = TempDir::new().unwrap();
        let sim = Simulator::start_strict(simulator::Config::default()).await.unwrap();
        let drive = sim.create_drive(spec).unwrap();
        let (token_lifecycle, sync_lifecycle) = (Lifecycle::new(), Lifecycle::new());
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let token_address = start_token_service(&sim, home.path(), &token_lifecycle).await;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sync_address = start_sync_service(
            home.path(),
            anywhere,
            (token_address, units_per_minute),
            &sync_lifecycle,
            &clock,
        )
        .await;
        let world = Self {
            home,
            sim,
            drive,
            sync_address,
            clock,
            token_address,
            units_per_minute,
            token_lifecycle,
            sync_lifecycle,
        };
        world.connect().await;
        world.create_source().await;
        world
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.home.path().join("mirror")
    }

    pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
        Endpoint::from_shared(format!("http://{address}")).unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(Setup::default())
    }

    pub(crate) fn worker_with(&self, setup: Setup) -> Worker {
        let mut graph = GraphConfig::new(self.sim.graph().parse().unwrap());
        graph.retries.backoff_base = Duration::from_millis(5);
        graph.retries.backoff_cap = Duration::from_millis(50);
        let (links, page_size) = setup.links_and_page.unwrap_or((DEFAULT_LINKS, graph.page_size));
        graph.page_size = page_size;
        let config = WorkerConfig {
            links,
            sync_service: Self::endpoint(setup.sync_service.unwrap_or(self.sync_address)),
            token_service: Self::endpoint(self.token_address),
            graph,
            name: "w".to_owned(),
            transfers: 8,
            bin_retention: DEFAULT_BIN_RETENTION,
            disk_reserve: setup.disk_reserve,
        };
        Worker::new(config, Arc::new(SystemClock), setup.stop).unwrap()
    }

    /// One run, by a worker of its own.
    pub(crate) async fn run(&self) -> RunEnd {
        self.worker().run_source(&source_name()).await.unwrap()
    }

    /// One run that must end early. Gives its end and the run as the service has it.
    pub(crate) async fn run_to_failure(&self) -> (RunEnd, pb::Run) {
        let end = self.run().await;
        assert!(end.error.is_some(), "{end:?}");
        let run = self.get_run(&end.run).await;
        (end, run)
    }

    /// One run that gets to its end, whatever is left then. Gives the run as the service has it.
    pub(crate) async fn run_to_end(&self) -> pb::Run {
        let end = self.run().await;
        assert!(end.error.is_none(), "{end:?}");
        self.get_run(&end.run).await
    }

    /// As if a worker had died: its lease has run out.
    pub(crate) fn expire_leases(&self) {
        self.clock.advance(LEASE_TTL + Duration::from_secs(1));
    }

    /// Ends sync-service in good order.
    pub(crate) async fn stop_sync_service(&self) {
        self.sync_lifecycle.shut_down(Duration::from_secs(10)).await;
    }

    /// Starts sync-service again on the same database and port.
    pub(crate) async fn start_sync_service(&mut self) {
        self.sync_lifecycle = Lifecycle::new();
        let (home, others) = (self.home.path(), (self.token_address, self.units_per_minute));
        start_sync_service(home, self.sync_address, others, &self.sync_lifecycle, &self.clock).await;
    }

    /// Ends token-service for good.
    pub(crate) async fn stop_token_service(&self) {
        self.token_lifecycle.shut_down(Duration::from_secs(10)).await;
    }

    /// One run that must bring the destination level with the drive. Gives the run as the service has it.
    pub(crate) async fn run_to_equality(&self) -> pb::Run {
        let end = self.run().await;
        assert!(end.error.is_none(), "{end:?}");
        let run = self.get_run(&end.run).await;
        assert_eq!(run.state(), pb::RunState::Succeeded, "{run:?}");
        self.assert_equal();
        run
    }

    pub(crate) fn assert_equal(&self) {
        let (found, wanted) = (read_tree(&self.mirror()), drive_tree(&self.drive));
        let differ = |one: &Tree, other: &Tree| {
            one.keys().filter(|path| !other.contains_key(*path)).cloned().collect::<Vec<_>>()
        };
        let (missing, extra) = (differ(&wanted, &found), differ(&found, &wanted));
        assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:?}; extra: {extra:?}");
        for (path, content) in &wanted {
            assert!(found[path] == *content, "{path} differs");
        }
    }

    pub(crate) async fn sources(&self) -> SourceServiceClient<Channel> {
        SourceServiceClient::new(Self::endpoint(self.sync_address).connect().await.unwrap())
    }

    pub(crate) async fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(Self::endpoint(self.sync_address).connect().await.unwrap())
    }

    pub(crate) async fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(Self::endpoint(self.sync_address).connect().await.unwrap())
    }

    /// A lease of the source, for a worker that is nothing but calls.
    pub(crate) async fn lease(&self) -> pb::Lease {
        let request =
            pb::LeaseRunRequest { worker: "by hand".into(), source: SOURCE.into(), ..Default::default() };
        self.workers().await.lease_run(request).await.unwrap().into_inner().lease.unwrap()
    }

    pub(crate) async fn get_source(&self) -> pb::Source {
        let request = pb::GetSourceRequest { name: SOURCE.into() };
        self.sources().await.get_source(request).await.unwrap().into_inner().source.unwrap()
    }

    pub(crate) async fn get_run(&self, name: &str) -> pb::Run {
        let request = pb::GetRunRequest { name: name.to_owned() };
        self.runs().await.get_run(request).await.unwrap().into_inner().run.unwrap()
    }

    pub(crate) async fn create_source(&self) {
        let request = pb::CreateSourceRequest {
            parent: "tenants/acme".to_owned(),
            source_id: "docs".to_owned(),
            source: Some(self.source_spec(&self.mirror())),
        };
        self.sources().await.create_source(request).await.unwrap();
    }

    pub(crate) fn source_spec(&self, folder: &Path) -> pb::Source {
        let path = folder.to_str().unwrap().to_owned();
        pb::Source {
            connection: CONNECTION.to_owned(),
            drive: format!("drives/{}", self.drive.id()),
            destination: Some(pb::source::Destination::LocalFolder(pb::LocalFolder { path })),
            ..Default::default()
        }
    }

    async fn connect(&self) {
        let scopes = "Files.Read.All User.Read offline_access openid profile";
        let token =
            self.sim.issue_refresh_token(simulator::PUBLIC_CLIENT_ID, scopes, simulator::FIRST_USER).unwrap();
        let channel = Self::endpoint(self.token_address).connect().await.unwrap();
        let mut client = token_pb::connection_service_client::ConnectionServiceClient::new(channel);
        let request = token_pb::CreateConnectionRequest {
            parent: "tenants/acme".to_owned(),
            connection_id: "mail".to_owned(),
            credential: Some(token_pb::create_connection_request::Credential::RefreshToken(
                token_pb::RefreshTokenCredential { refresh_token: token },
            )),
            ..Default::default()
        };
        client.create_connection(request).await.unwrap();
    }

    pub(crate) async fn end(self) {
        let violations = self.sim.violations();
        assert!(violations.is_empty(), "{violations:?}");
        self.stop_sync_service().await;
        self.stop_token_service().await;
        self.sim.stop().await;
    }
}

pub(crate) async fn start_token_service(sim: &Simulator, home: &Path, lifecycle: &Lifecycle) -> SocketAddr {
    let config = token_service::Config {
        database: DatabaseUrl::sqlite(home.join("token.db")),
        pool: PoolOptions::default(),
        keyring: home.join("keyring.toml"),
        create_keyring: true,
        provider: token_service::ProviderConfig {
            client_id: simulator::PUBLIC_CLIENT_ID.to_owned(),
            client_secret: None,
            authority: sim.authority().parse().unwrap(),
            directory: "common".to_owned(),
            default_scopes: Vec::new(),
        },
        webhooks: None,
        limits: ServerLimits::default(),
    };
    let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let app = token_service::App::start(config, listener, lifecycle, Arc::new(SystemClock)).await.unwrap();
    app.address()
}

async fn start_sync_service(
    home: &Path,
    address: SocketAddr,
    (token_address, units_per_minute): (SocketAddr, Option<u32>),
    lifecycle: &Lifecycle,
    clock: &Arc<ManualClock>,
) -> SocketAddr {
    let listener = server::bind(address).await.unwrap();
    let config = sync_service::Config {
        units_per_minute,
        token_service: Some(World::endpoint(token_address)),
        ..sync_service::Config::new(DatabaseUrl::sqlite(home.join("sync.db")))
    };
    let clock = Arc::<ManualClock>::clone(clock);
    sync_service::App::start(config, listener, lifecycle, clock).await.unwrap().address()
}

pub(crate) fn drive_tree(drive: &DriveHandle) -> Tree {
    drive
        .walk()
        .into_iter()
        .map(|entry| {
            let content = (entry.kind == EntryKind::File).then(|| {
                let reader = drive.content_reader(&entry.id).unwrap();
                let mut bytes = vec![0; usize::try_from(reader.size()).unwrap()];
                let mut at = 0;
                while at < bytes.len() {
                    at += reader.read_at(u64::try_from(at).unwrap(), &mut bytes[at..]);
                }
                bytes
            });
            (entry.path.join("\u{1F}"), content)
        })
        .collect()
}

/// A path at the destination as the drive has it.
fn in_drive(path: &str) -> String {
    path.split('/').map(|name| local_name::decode(name).into_owned()).collect::<Vec<_>>().join("\u{1F}")
}

/// What is at the destination, under the drive's names and without Sluice's own folder.
pub(crate) fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    collect(root, root, &mut tree);
    tree.into_iter().map(|(path, content)| (in_drive(&path), content)).collect()
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == root.join(".sluice") {
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            tree.insert(name, None);
            collect(root, &path, tree);
        } else {
            tree.insert(name, Some(std::fs::read(&path).unwrap()));
        }
    }
}
