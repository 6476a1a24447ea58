//! Server processes as they are deployed, on one PostgreSQL; one of them is killed where it hurts most.

use std::{path::Path, process::Stdio, time::Duration};

use futures_util::future::select_all;

use proto::token::v1::{
    ConnectionState, GetAccessTokenRequest, RefreshOutcome,
    connection_service_client::ConnectionServiceClient, token_service_client::TokenServiceClient,
};
use service_kit::status::{status_reason, status_retry_after};
use sha2::{Digest as _, Sha256};
use simulator::{Endpoint, PUBLIC_CLIENT_ID, Rotation, ViolationKind};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    test_database::TestDatabase,
    wire::{Moment, Wire},
    world::{PATIENCE, World, ask, eventually, import, name},
};

const CALLERS: usize = 1000;
const PROCESSES: usize = 3;
/// Pause of a caller that was told to come again and not when.
const CALLERS_PAUSE: Duration = Duration::from_millis(100);
/// `--provider-timeout-seconds` of the processes: it decides how soon another one takes over.
const PROVIDER_TIMEOUT_SECONDS: &str = "5";

/// A server process and its clients. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    _reader: JoinSet<()>,
    pub(crate) tokens: TokenServiceClient<Channel>,
    pub(crate) connections: ConnectionServiceClient<Channel>,
}

impl Process {
    /// A process that finds the provider at `authority`.
    pub(crate) async fn start(world: &World, database: &str, authority: &str) -> Self {
        let mut child =
            command(world.keyring_path().as_path(), database, authority).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = tokio::time::timeout(PATIENCE, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the program stopped");
                if let Some((_, address)) = line.split_once("serving gRPC on ") {
                    return address.split_whitespace().next().unwrap().to_owned();
                }
            }
        });
        let address = address.await.expect("the program does not serve");
        // Somebody must go on reading, or the program would wait to write.
        let mut reader = JoinSet::new();
        reader.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self {
            child,
            _reader: reader,
            tokens: TokenServiceClient::new(channel.clone()),
            connections: ConnectionServiceClient::new(channel),
        }
    }

    /// Kills it as SIGKILL does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    async fn outcome(&self) -> (RefreshOutcome, ConnectionState) {
        let request = proto::token::v1::GetConnectionRequest { name: name("mail") };
        let answer = self.connections.clone().get_connection(request).await.unwrap().into_inner();
        let connection = answer.connection.unwrap();
        (connection.refresh_outcome(), connection.state())
    }
}

fn command(keyring: &Path, database: &str, authority: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_token-service"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--create-keyring", "--directory", "organizations"])
        .args(["--database", database, "--authority", authority, "--client-id", PUBLIC_CLIENT_ID])
        .args(["--provider-timeout-seconds", PROVIDER_TIMEOUT_SECONDS])
        .arg("--keyring")
        .arg(keyring)
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A process, and its line to the provider.
struct Replica {
    process: Process,
    wire: Wire,
}

/// Several processes on one database, with one connection, whose token has ended.
struct Fleet {
    world: World,
    database: TestDatabase,
    replicas: Vec<Replica>,
}

impl Fleet {
    async fn start(database: TestDatabase, rotation: Rotation) -> Self {
        let world = World::new().await;
        world.sim.switch(|switches| {
            switches.tokens.rotation = rotation;
            switches.tokens.access_seconds = 1;
        });
        let mut fleet = Self { world, database, replicas: Vec::new() };
        fleet.fill_up().await;
        let mut connections = fleet.replicas[0].process.connections.clone();
        connections.create_connection(import("mail", fleet.world.refresh_token())).await.unwrap();
        fleet.world.sim.switch(|switches| switches.tokens.access_seconds = 3600);
        // A token of one second is as good as ended from its beginning.
        fleet.world.sim.reset_counters();
        fleet
    }

    /// Starts what is missing.
    async fn fill_up(&mut self) {
        while self.replicas.len() < PROCESSES {
            let wire = Wire::to(&self.world.sim.authority()).await;
            let process = Process::start(&self.world, &self.database.url(), &wire.authority).await;
            self.replicas.push(Replica { process, wire });
        }
    }

    /// A thousand callers at once, spread over the processes.
    fn callers(&self, request: &GetAccessTokenRequest) -> JoinSet<Result<String, Status>> {
        let clients: Vec<_> = self.replicas.iter().map(|replica| replica.process.tokens.clone()).collect();
        (0..CALLERS).map(|first| insist(clients.clone(), first, request.clone())).collect()
    }

    /// Kills, with SIGKILL, the one of the processes that asks the provider, at a moment of its request.
    async fn kill_who_asks(&mut self, moment: Moment) {
        let comes = self.replicas.iter().map(|replica| replica.wire.when(0, moment));
        let come = tokio::time::timeout(PATIENCE, select_all(comes)).await;
        let (come, number, _others) = come.expect("nobody asks the provider");
        come.unwrap();
        for replica in &self.replicas {
            replica.wire.disarm();
        }
        self.replicas.remove(number).process.kill().await;
    }

    /// What a thousand callers get when the process that refreshes for them is killed.
    async fn ask_and_kill(
        &mut self,
        request: &GetAccessTokenRequest,
        moment: Moment,
    ) -> Vec<Result<String, Status>> {
        let callers = self.callers(request);
        self.kill_who_asks(moment).await;
        callers.join_all().await
    }

    /// How often the provider was asked, and how often with a refresh token that it had replaced.
    fn asked(&self) -> (u64, u64) {
        let counters = self.world.sim.counters();
        (counters.of(Endpoint::Token), counters.refresh_token_reuse)
    }

    async fn all_say(&self, expected: (RefreshOutcome, ConnectionState)) {
        for replica in &self.replicas {
            assert_eq!(replica.process.outcome().await, expected);
        }
    }

    async fn end(self) {
        drop(self.replicas);
        self.database.drop().await;
    }
}

/// One caller. Whoever gets no answer, or is told to come again, asks the next process, as a client would.
async fn insist(
    mut clients: Vec<TokenServiceClient<Channel>>,
    first: usize,
    request: GetAccessTokenRequest,
) -> Result<String, Status> {
    let number = first % clients.len();
    clients.rotate_left(number);
    let insisting = async {
        loop {
            let status = match clients[0].get_access_token(request.clone()).await {
                Ok(answer) => return Ok(answer.into_inner().access_token),
                Err(status) => status,
            };
            let is_answer = status_reason(&status).is_some();
            if is_answer && status.code() != Code::Unavailable {
                return Err(status);
            }
            tokio::time::sleep(status_retry_after(&status).unwrap_or(CALLERS_PAUSE)).await;
            clients.rotate_left(1);
        }
    };
    tokio::time::timeout(2 * PATIENCE, insisting).await.expect("a caller insists in vain")
}

fn the_one(answers: Vec<Result<String, Status>>) -> String {
    assert_eq!(answers.len(), CALLERS);
    let mut tokens: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    tokens.remove(0)
}

/// Asks for another token than this one.
fn instead_of(token: &str) -> GetAccessTokenRequest {
    GetAccessTokenRequest { rejected_token_sha256: Sha256::digest(token.as_bytes()).to_vec(), ..ask("mail") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_three_processes_cost_one_refresh_twice_in_a_row() {
    let Some(database) = TestDatabase::create().await else { return };
    let fleet = Fleet::start(database, Rotation::Strict).await;
    let first = the_one(fleet.callers(&ask("mail")).join_all().await);
    assert_eq!(fleet.asked(), (1, 0));
    let second = the_one(fleet.callers(&instead_of(&first)).join_all().await);
    assert_ne!(second, first);
    assert_eq!(fleet.asked(), (2, 0));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nango_1005_whoever_refreshes_is_killed_and_a_thousand_callers_get_one_token_twice_in_a_row() {
    let Some(database) = TestDatabase::create().await else { return };
    let mut fleet = Fleet::start(database, Rotation::Strict).await;
    let first = the_one(fleet.ask_and_kill(&ask("mail"), Moment::Asked).await);
    // What was cut off on its way never reached the provider.
    assert_eq!(fleet.asked(), (1, 0));
    fleet.fill_up().await;
    fleet.all_say((RefreshOutcome::Known, ConnectionState::Active)).await;
    let second = the_one(fleet.ask_and_kill(&instead_of(&first), Moment::Asked).await);
    assert_ne!(second, first);
    assert_eq!(fleet.asked(), (2, 0));
    fleet.all_say((RefreshOutcome::Known, ConnectionState::Active)).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_answer_died_with_its_process_is_asked_about_once_for_a_thousand_callers() {
    let Some(database) = TestDatabase::create().await else { return };
    let mut fleet = Fleet::start(database, Rotation::Grace).await;
    let first = the_one(fleet.ask_and_kill(&ask("mail"), Moment::Rotated).await);
    assert_eq!(fleet.asked().0, 2, "what nobody heard the end of, and one probe");
    fleet.fill_up().await;
    the_one(fleet.ask_and_kill(&instead_of(&first), Moment::HalfAnswered).await);
    assert_eq!(fleet.asked().0, 4);
    fleet.all_say((RefreshOutcome::Known, ConnectionState::Active)).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_provider_is_asked_once_what_died_with_a_process_and_a_thousand_callers_learn_why() {
    let Some(database) = TestDatabase::create().await else { return };
    let mut fleet = Fleet::start(database, Rotation::Strict).await;
    for answer in fleet.ask_and_kill(&ask("mail"), Moment::Rotated).await {
        assert_eq!(status_reason(&answer.unwrap_err()).as_deref(), Some("NEEDS_REAUTH"));
    }
    assert_eq!(fleet.asked(), (2, 1), "a lost answer was asked about more than once");
    fleet.all_say((RefreshOutcome::Known, ConnectionState::NeedsReauth)).await;
    // The one probe, which is the only way to learn what became of the answer.
    let minded: Vec<_> = fleet.world.sim.take_violations().into_iter().map(|one| one.kind).collect();
    assert_eq!(minded, [ViolationKind::SupersededRefreshToken]);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_vanished_while_refreshing_leaves_an_unknown_outcome() {
    let Some(database) = TestDatabase::create().await else { return };
    let mut fleet = Fleet::start(database, Rotation::Entra).await;
    let mut tokens = fleet.replicas[0].process.tokens.clone();
    let mut cut_off = JoinSet::new();
    cut_off.spawn(async move { tokens.get_access_token(ask("mail")).await });
    fleet.kill_who_asks(Moment::Asked).await;
    cut_off.join_next().await.unwrap().unwrap().unwrap_err();
    // Nobody asks, and still it shows.
    eventually("the outcome shows as unknown", async || {
        fleet.replicas[0].process.outcome().await == (RefreshOutcome::Unknown, ConnectionState::Active)
    })
    .await;
    fleet.replicas[0].process.tokens.clone().get_access_token(ask("mail")).await.unwrap();
    fleet.all_say((RefreshOutcome::Known, ConnectionState::Active)).await;
    fleet.end().await;
}
