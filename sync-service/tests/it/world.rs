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
    },
    token::v1 as token_pb,
};
use service_kit::{
    clock::SystemClock,
    database::{DatabaseUrl, PoolOptions},
    lifecycle::Lifecycle,
    server::{self, ServerLimits},
};
use simulator::{DriveHandle, DriveSpec, EntryKind, NameStyle, Simulator};
use sync_service::{
    domain::{local_name, names::SourceName},
    worker::{RunEnd, Worker, WorkerConfig},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

pub(crate) const SOURCE: &str = "tenants/acme/sources/docs";
const CONNECTION: &str = "tenants/acme/connections/mail";

/// Path to content; `None` for a folder. A separator that no name holds stands between the segments.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

pub(crate) struct World {
    pub(crate) home: TempDir,
    pub(crate) sim: Simulator,
    pub(crate) drive: DriveHandle,
    pub(crate) sync_address: SocketAddr,
    token_address: SocketAddr,
    lifecycle: Lifecycle,
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
        service_kit::tls::install_crypto_provider();
        let home = TempDir::new().unwrap();
        let sim = Simulator::start(simulator::Config::default()).await.unwrap();
        let drive = sim.create_drive(spec).unwrap();
        let lifecycle = Lifecycle::new();
        let token_address = start_token_service(&sim, home.path(), &lifecycle).await;
        let sync_address = start_sync_service(home.path(), &lifecycle).await;
        let world = Self { home, sim, drive, sync_address, token_address, lifecycle };
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
        self.worker_that_stops(CancellationToken::new())
    }

    pub(crate) fn worker_that_stops(&self, stop: CancellationToken) -> Worker {
        let config = WorkerConfig {
            sync_service: Self::endpoint(self.sync_address),
            token_service: Self::endpoint(self.token_address),
            graph: GraphConfig::new(self.sim.graph().parse().unwrap()),
            name: "w".to_owned(),
            transfers: 8,
        };
        Worker::new(config, Arc::new(SystemClock), stop).unwrap()
    }

    /// One run, by a worker of its own.
    pub(crate) async fn run(&self) -> RunEnd {
        self.worker().run_source(&SourceName::parse(SOURCE).unwrap()).await.unwrap()
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
        self.lifecycle.shut_down(Duration::from_secs(10)).await;
        self.sim.stop().await;
    }
}

async fn start_token_service(sim: &Simulator, home: &Path, lifecycle: &Lifecycle) -> SocketAddr {
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
        limits: ServerLimits::default(),
    };
    let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let app = token_service::App::start(config, listener, lifecycle, Arc::new(SystemClock)).await.unwrap();
    app.address()
}

pub(crate) async fn start_sync_service(home: &Path, lifecycle: &Lifecycle) -> SocketAddr {
    let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let config = sync_service::Config::new(DatabaseUrl::sqlite(home.join("sync.db")));
    let app = sync_service::App::start(config, listener, lifecycle, Arc::new(SystemClock)).await.unwrap();
    app.address()
}

fn drive_tree(drive: &DriveHandle) -> Tree {
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
    tree.retain(|path, _| path.split('/').next() != Some(".sluice"));
    tree.into_iter().map(|(path, content)| (in_drive(&path), content)).collect()
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            tree.insert(name, None);
            collect(root, &path, tree);
        } else {
            tree.insert(name, Some(std::fs::read(&path).unwrap()));
        }
    }
}
