//! The three programs as processes of their own, each at a port that it gets again after a kill.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use proto::{
    sync::v1::{
        self as pb, run_service_client::RunServiceClient, source_service_client::SourceServiceClient,
    },
    token::v1::{self as token_pb, connection_service_client::ConnectionServiceClient},
};
use simulator::{DriveHandle, DriveSpec, PUBLIC_CLIENT_ID, Simulator};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
};
use tonic::transport::{Channel, Endpoint};

use crate::world::{CONNECTION, SOURCE, drive_tree, read_tree};

/// How long a condition is waited for: far longer than it should ever take.
const PATIENCE: Duration = Duration::from_mins(2);
/// Pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// `--lease-seconds`: how soon the run of a killed worker is taken over.
const LEASE_SECONDS: &str = "2";
/// `--transfers` of the worker.
pub(super) const TRANSFERS: u64 = 8;
/// What the simulator marks its secrets with.
const CANARIES: [&str; 4] = ["sim-at-", "sim-rt-", "sim-dc-", "sim-dl-"];

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    TokenService,
    SyncService,
    Worker,
}

/// A process. Dropped, it is killed.
struct Process {
    child: Child,
    _reader: JoinSet<()>,
}

pub(super) struct Stage {
    pub(super) home: TempDir,
    pub(super) sim: Simulator,
    pub(super) drive: DriveHandle,
    token_port: u16,
    sync_port: u16,
    token_service: Process,
    sync_service: Process,
    worker: Process,
}

/// The program of a crate that this one does not build by itself: tests of the whole workspace have built it, `scripts/chaos` builds it
/// first, and what is missing is built here.
fn token_service_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let ours = Path::new(env!("CARGO_BIN_EXE_sync-service"));
        let program = ours.with_file_name("token-service");
        if !program.exists() {
            eprintln!("building {}, which is missing", program.display());
            let mut cargo = std::process::Command::new(env!("CARGO"));
            cargo.args(["build", "--locked", "--quiet", "-p", "token-service", "--bin", "token-service"]);
            if ours.parent().is_some_and(|folder| folder.ends_with("release")) {
                cargo.arg("--release");
            }
            let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success();
            assert!(built, "run `cargo build -p token-service --bin token-service` and see why it fails");
        }
        program
    })
}

impl Process {
    /// Starts a program and waits until it serves; gives its port, 0 for one that serves nothing.
    async fn start(mut command: Command, serves: bool) -> (Self, u16) {
        let mut child = command
            .env("NO_COLOR", "1")
            .env_remove("SLUICE_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut port = 0;
        if serves {
            let address = tokio::time::timeout(PATIENCE, async {
                loop {
                    let line = lines.next_line().await.unwrap().expect("the program stopped");
                    if let Some((_, address)) = line.split_once("serving gRPC on ") {
                        return address.split_whitespace().next().unwrap().to_owned();
                    }
                }
            });
            let address = address.await.expect("the program does not serve");
            port = address.rsplit(':').next().unwrap().parse().unwrap();
        }
        // Somebody must go on reading, or the program would wait to write.
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                for canary in CANARIES {
                    assert!(!line.contains(canary), "a secret is logged");
                }
            }
        });
        (Self { child, _reader: reader }, port)
    }
}

fn token_service(home: &Path, sim: &Simulator, port: u16) -> Command {
    let mut command = Command::new(token_service_program());
    command
        .args(["serve", "--create-keyring", "--directory", "organizations", "--client-id", PUBLIC_CLIENT_ID])
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--database=sqlite:{}", home.join("token.db").display()))
        .arg(format!("--authority={}", sim.authority()))
        .arg("--keyring")
        .arg(home.join("keyring.toml"));
    command
}

fn sync_service(home: &Path, port: u16, token_port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-service"));
    command
        .args(["serve", "--lease-seconds", LEASE_SECONDS])
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--token-service=http://127.0.0.1:{token_port}"))
        .arg(format!("--database=sqlite:{}", home.join("sync.db").display()));
    command
}

fn worker(sim: &Simulator, sync_port: u16, token_port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sync-worker"));
    command
        .arg("serve")
        .arg(format!("--transfers={TRANSFERS}"))
        .arg(format!("--graph={}", sim.graph()))
        .arg(format!("--sync-service=http://127.0.0.1:{sync_port}"))
        .arg(format!("--token-service=http://127.0.0.1:{token_port}"));
    command
}

impl Stage {
    pub(super) async fn new(spec: &DriveSpec) -> Self {
        service_kit::tls::install_crypto_provider();
        let home = TempDir::new().unwrap();
        let sim = Simulator::start(simulator::Config::default()).await.unwrap();
        let drive = sim.create_drive(spec).unwrap();
        let (token, token_port) = Process::start(token_service(home.path(), &sim, 0), true).await;
        let (sync, sync_port) = Process::start(sync_service(home.path(), 0, token_port), true).await;
        let (worker, _) = Process::start(worker(&sim, sync_port, token_port), false).await;
        let stage = Self {
            home,
            sim,
            drive,
            token_port,
            sync_port,
            token_service: token,
            sync_service: sync,
            worker,
        };
        stage.connect().await;
        stage.create_source().await;
        stage
    }

    pub(super) fn mirror(&self) -> PathBuf {
        self.home.path().join("mirror")
    }

    /// Kills a process as SIGKILL does, and starts it again.
    pub(super) async fn kill(&mut self, part: Part) {
        let (home, sim) = (self.home.path(), &self.sim);
        match part {
            Part::TokenService => {
                self.token_service.child.kill().await.unwrap();
                let command = token_service(home, sim, self.token_port);
                self.token_service = Process::start(command, true).await.0;
            }
            Part::SyncService => {
                self.sync_service.child.kill().await.unwrap();
                let command = sync_service(home, self.sync_port, self.token_port);
                self.sync_service = Process::start(command, true).await.0;
            }
            Part::Worker => {
                self.worker.child.kill().await.unwrap();
                let command = worker(sim, self.sync_port, self.token_port);
                self.worker = Process::start(command, false).await.0;
            }
        }
    }

    /// Makes the source due.
    pub(super) async fn sync(&self) {
        let request = pb::SyncSourceRequest { name: SOURCE.into() };
        self.sources().sync_source(request).await.unwrap();
    }

    /// Waits until nothing is left to do: the newest run succeeded, and none is due or under way. A brake that holds is released.
    pub(super) async fn settle(&self, what: &str) {
        let settled = tokio::time::timeout(PATIENCE, async {
            loop {
                let request = pb::GetSourceRequest { name: SOURCE.into() };
                let source = self.sources().get_source(request).await.unwrap().into_inner().source.unwrap();
                let run = match source.latest_run.as_str() {
                    "" => pb::Run::default(),
                    name => self.run(name).await,
                };
                let idle = source.state() == pb::SourceState::Idle;
                match run.state() {
                    pb::RunState::Succeeded if idle && self.began_after_the_last_change(&run) => return,
                    pb::RunState::NeedsPerson if run.reason == "DELETIONS_NEED_APPROVAL" => {
                        let held = run.stats.unwrap_or_default().deletions_held;
                        let request = pb::ApproveDeletionsRequest { name: run.name, max_deletions: held };
                        // Another run may have begun meanwhile.
                        drop(self.run_service().approve_deletions(request).await);
                    }
                    pb::RunState::Running | pb::RunState::Unspecified => {}
                    pb::RunState::Succeeded
                    | pb::RunState::Partial
                    | pb::RunState::Failed
                    | pb::RunState::NeedsPerson
                    | pb::RunState::Cancelled => self.sync().await,
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
        let in_time = settled.await.is_ok();
        assert!(in_time, "{what}: waited in vain; the newest run: {:#?}", self.runs().await.first());
    }

    /// What was asked for during a run comes with the next one: then the source is due again at once.
    fn began_after_the_last_change(&self, run: &pb::Run) -> bool {
        run.end_time.is_some() && self.is_equal()
    }

    fn is_equal(&self) -> bool {
        self.mirror().is_dir() && read_tree(&self.mirror()) == drive_tree(&self.drive)
    }

    pub(super) fn assert_equal(&self, what: &str) {
        let (found, wanted) = (read_tree(&self.mirror()), drive_tree(&self.drive));
        let missing: Vec<_> = wanted.keys().filter(|path| !found.contains_key(*path)).collect();
        let extra: Vec<_> = found.keys().filter(|path| !wanted.contains_key(*path)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{what}: missing {missing:?}; extra {extra:?}");
        assert!(found == wanted, "{what}: a content differs");
    }

    /// No token and no link is in clear in a database or at the destination's own folder.
    pub(super) fn assert_no_secret(&self) {
        let own = self.mirror().join(".sluice");
        for folder in [self.home.path(), own.as_path()] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let Ok(bytes) = std::fs::read(&path) else { continue };
                for canary in CANARIES {
                    let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                    assert!(!found, "{} holds a secret", path.display());
                }
            }
        }
    }

    pub(super) async fn runs(&self) -> Vec<pb::Run> {
        let request = pb::ListRunsRequest { parent: SOURCE.into(), page_size: 1000, ..Default::default() };
        self.run_service().list_runs(request).await.unwrap().into_inner().runs
    }

    async fn run(&self, name: &str) -> pb::Run {
        let request = pb::GetRunRequest { name: name.to_owned() };
        self.run_service().get_run(request).await.unwrap().into_inner().run.unwrap()
    }

    fn channel(port: u16) -> Channel {
        Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy()
    }

    fn sources(&self) -> SourceServiceClient<Channel> {
        SourceServiceClient::new(Self::channel(self.sync_port))
    }

    fn run_service(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(Self::channel(self.sync_port))
    }

    async fn connect(&self) {
        let scopes = "Files.Read.All User.Read offline_access openid profile";
        let token = self.sim.issue_refresh_token(PUBLIC_CLIENT_ID, scopes, simulator::FIRST_USER).unwrap();
        let credential =
            token_pb::create_connection_request::Credential::RefreshToken(token_pb::RefreshTokenCredential {
                refresh_token: token,
            });
        let request = token_pb::CreateConnectionRequest {
            parent: "tenants/acme".to_owned(),
            connection_id: "mail".to_owned(),
            credential: Some(credential),
            ..Default::default()
        };
        let mut client = ConnectionServiceClient::new(Self::channel(self.token_port));
        client.create_connection(request).await.unwrap();
    }

    async fn create_source(&self) {
        let path = self.mirror().to_str().unwrap().to_owned();
        let source = pb::Source {
            connection: CONNECTION.to_owned(),
            drive: format!("drives/{}", self.drive.id()),
            destination: Some(pb::source::Destination::LocalFolder(pb::LocalFolder { path })),
            ..Default::default()
        };
        let request = pb::CreateSourceRequest {
            parent: "tenants/acme".to_owned(),
            source_id: "docs".to_owned(),
            source: Some(source),
        };
        self.sources().create_source(request).await.unwrap();
    }

    pub(super) async fn end(self) {
        let Self { sim, token_service, sync_service, worker, home, .. } = self;
        drop((worker, sync_service, token_service));
        sim.stop().await;
        drop(home);
    }
}
