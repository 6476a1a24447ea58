//! Server processes as they are deployed, on one PostgreSQL; one of them is killed where it hurts most.

use std::{path::Path, process::Stdio};

use proto::token::v1::{
    ConnectionState, GetAccessTokenRequest, RefreshOutcome,
    connection_service_client::ConnectionServiceClient, token_service_client::TokenServiceClient,
};
use sha2::{Digest as _, Sha256};
use simulator::{Endpoint, Fault, FaultKind, PUBLIC_CLIENT_ID, Rotation};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
};
use tonic::transport::Channel;

use crate::{
    test_database::TestDatabase,
    world::{PATIENCE, World, ask, eventually, import, name},
};

const CALLERS: usize = 1000;
/// `--provider-timeout-seconds` of the processes: it decides how soon another one takes over.
const PROVIDER_TIMEOUT_SECONDS: &str = "3";

/// A server process and its clients. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    _reader: JoinSet<()>,
    pub(crate) tokens: TokenServiceClient<Channel>,
    pub(crate) connections: ConnectionServiceClient<Channel>,
}

impl Process {
    pub(crate) async fn start(world: &World, database: &str) -> Self {
        Self::start_with(world, database, &world.sim.authority()).await
    }

    /// A process that finds the provider at `authority`.
    pub(crate) async fn start_with(world: &World, database: &str, authority: &str) -> Self {
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

/// Three processes with one connection, whose token has ended.
async fn three_processes(world: &World, database: &TestDatabase, rotation: Rotation) -> Vec<Process> {
    world.sim.switch(|switches| {
        switches.tokens.rotation = rotation;
        switches.tokens.access_seconds = 1;
    });
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::start(world, &database.url()).await);
    }
    let created = processes[0].connections.create_connection(import("mail", world.refresh_token())).await;
    created.unwrap();
    world.sim.switch(|switches| switches.tokens.access_seconds = 3600);
    // A token of one second is as good as ended from its beginning.
    world.sim.reset_counters();
    processes
}

fn callers(processes: &[Process], request: &GetAccessTokenRequest) -> JoinSet<Result<String, tonic::Status>> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let mut tokens = processes[number % processes.len()].tokens.clone();
        let request = request.clone();
        callers.spawn(async move {
            tokens.get_access_token(request).await.map(|answer| answer.into_inner().access_token)
        });
    }
    callers
}

fn the_one(answers: Vec<Result<String, tonic::Status>>) -> String {
    let mut tokens: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    tokens.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_three_processes_cost_one_refresh_twice_in_a_row() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let processes = three_processes(&world, &database, Rotation::Strict).await;
    let first = the_one(callers(&processes, &ask("mail")).join_all().await);
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);

    let rejected_token_sha256 = Sha256::digest(first.as_bytes()).to_vec();
    let refused = GetAccessTokenRequest { rejected_token_sha256, ..ask("mail") };
    let second = the_one(callers(&processes, &refused).join_all().await);
    assert_ne!(second, first);
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2);
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    drop(processes);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nango_1005_a_wedged_refresh_frees_its_lease() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let mut processes = three_processes(&world, &database, Rotation::Strict).await;
    // The provider has the request and takes its time; then whoever sent it is gone.
    let stall = FaultKind::HeaderStall { milliseconds: 120_000 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    let mut doomed = processes.remove(0);
    let mut tokens = doomed.tokens.clone();
    let mut cut_off = JoinSet::new();
    cut_off.spawn(async move { tokens.get_access_token(ask("mail")).await });
    eventually("the refresh is under way", async || world.sim.counters().of(Endpoint::Token) == 1).await;
    let waiting = callers(&processes, &ask("mail"));
    doomed.kill().await;
    cut_off.join_next().await.unwrap().unwrap().unwrap_err();
    the_one(waiting.join_all().await);
    // The request of the one that was killed, and the one that counts.
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2);
    assert_eq!(world.sim.counters().refreshes, 1);
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    assert_eq!(processes[0].outcome().await, (RefreshOutcome::Known, ConnectionState::Active));
    drop(processes);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_vanished_while_refreshing_leaves_an_unknown_outcome() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let mut processes = three_processes(&world, &database, Rotation::Entra).await;
    let stall = FaultKind::HeaderStall { milliseconds: 120_000 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
    let mut doomed = processes.remove(0);
    let mut tokens = doomed.tokens.clone();
    let mut cut_off = JoinSet::new();
    cut_off.spawn(async move { tokens.get_access_token(ask("mail")).await });
    eventually("the refresh is under way", async || world.sim.counters().of(Endpoint::Token) == 1).await;
    doomed.kill().await;
    // Nobody asks, and still it shows.
    eventually("the outcome shows as unknown", async || {
        processes[0].outcome().await == (RefreshOutcome::Unknown, ConnectionState::Active)
    })
    .await;
    processes[0].tokens.get_access_token(ask("mail")).await.unwrap();
    let other = processes[1].outcome().await;
    assert_eq!(other, (RefreshOutcome::Known, ConnectionState::Active));
    drop(processes);
    database.drop().await;
}
