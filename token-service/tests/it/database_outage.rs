//! The database goes away for longer than anybody waits for it, and comes back. A proxy plays that.

use std::time::Duration;

use proto::token::v1::{
    ConnectionState, GetAccessTokenResponse, GetConnectionRequest, WatchConnectionsRequest,
    WatchConnectionsResponse,
};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use service_kit::{
    database::PoolOptions,
    lifecycle::Lifecycle,
    status::{status_reason, status_retry_after},
};
use simulator::{Endpoint, Fault, FaultKind, Rotation};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status, Streaming};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    outage_proxy::{Fate, OutageProxy},
    random::setting,
    test_database::TestDatabase,
    world::{PATIENCE, Service, World, ask, eventually, name},
};

const HOURS: Duration = Duration::from_hours(2);
/// Longer than a token in memory is believed without asking the database.
const NOT_BELIEVED: Duration = Duration::from_mins(6);
/// How long the services wait for their database.
const POOL_WAIT: Duration = Duration::from_secs(2);
/// How many seconds the database is away: the subject of these tests. The long form is in scripts/chaos.
const OUTAGE_SECONDS: u64 = 4;

fn outage_length() -> Duration {
    Duration::from_secs(setting("SLUICE_CHAOS_OUTAGE_SECONDS", OUTAGE_SECONDS))
}

pub(crate) struct Outage {
    pub(crate) world: World,
    pub(crate) database: TestDatabase,
    pub(crate) proxy: OutageProxy,
    proxies: Lifecycle,
}

impl Outage {
    pub(crate) async fn prepare() -> Option<Self> {
        let database = TestDatabase::create().await?;
        let proxies = Lifecycle::new();
        let proxy = OutageProxy::start(&database.url(), &proxies).await;
        Some(Self { world: World::new().await, database, proxy, proxies })
    }

    pub(crate) async fn start(&self) -> Service {
        let mut config = self.world.config();
        config.database = self.proxy.url();
        config.pool = PoolOptions { max_connections: 4, acquire_timeout: POOL_WAIT };
        self.world.start_with(config).await.unwrap()
    }

    /// Asks for a token that must be refreshed, and returns while the provider has the request and has not answered yet.
    async fn refresh_under_way(
        &self,
        service: &Service,
    ) -> JoinSet<Result<Response<GetAccessTokenResponse>, Status>> {
        let world = &self.world;
        world.advance(HOURS);
        world.sim.reset_counters();
        let stall = FaultKind::HeaderStall { milliseconds: 500 };
        world.sim.faults().add(Fault::new(stall).on(Endpoint::Token).times(1));
        let mut tokens = service.tokens.clone();
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { tokens.get_access_token(ask("mail")).await });
        eventually("the refresh is under way", async || world.sim.counters().of(Endpoint::Token) == 1).await;
        waiting
    }

    pub(crate) async fn end(self, services: Vec<Service>) {
        for service in services {
            service.stop().await;
        }
        self.proxies.shut_down(PATIENCE).await;
        self.database.drop().await;
    }

    /// How many connections listen for announcements.
    async fn listeners(&self) -> i64 {
        let database = Database::connect(self.database.url()).await.unwrap();
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        let statement = Statement::from_string(database.get_database_backend(), count);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        let count = row.try_get_by_index(0).unwrap();
        database.close().await.unwrap();
        count
    }
}

async fn health(service: &Service, name: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: name.to_owned() };
    HealthClient::new(service.channel.clone()).check(request).await.unwrap().into_inner().status()
}

/// Whether the services that need the database all say so.
async fn all_say(service: &Service, expected: ServingStatus) -> bool {
    // What is in memory can be had.
    assert_eq!(health(service, "sluice.token.v1.TokenService").await, ServingStatus::Serving);
    assert_eq!(health(service, "").await, ServingStatus::Serving);
    health(service, "sluice.token.v1.ConnectionService").await == expected
        && health(service, "sluice.token.v1.AuthorizationService").await == expected
}

pub(crate) fn says_that_the_database_is_away(status: &Status) {
    assert_eq!(
        (status.code(), status_reason(status).as_deref()),
        (Code::Unavailable, Some("DATABASE_UNAVAILABLE"))
    );
    assert!(status_retry_after(status).is_some());
}

async fn watch(service: &Service, resume_token: &str) -> Streaming<WatchConnectionsResponse> {
    let request = WatchConnectionsRequest { resume_token: resume_token.to_owned(), ..Default::default() };
    service.connections.clone().watch_connections(request).await.unwrap().into_inner()
}

/// Everything that must hold while the database is away and afterwards.
async fn lives_through(outage: Outage, interrupt: fn(&OutageProxy)) {
    let world = &outage.world;
    let mut services = vec![outage.start().await, outage.start().await];
    let mut news = watch(&services[0], "").await;
    services[0].connect(world, "used").await;
    services[0].connect(world, "unused").await;
    for _ in 0..3 {
        // The beginning and both connections: what is in memory from now on stays there.
        news.message().await.unwrap().unwrap();
    }
    drop(news);
    let token = services[0].token(ask("used")).await.unwrap().access_token;
    eventually("both listen", async || outage.listeners().await == 2).await;
    let mut stream = watch(&services[1], "").await;
    let resume_token = stream.message().await.unwrap().unwrap().resume_token;

    interrupt(&outage.proxy);
    let away = tokio::time::Instant::now() + outage_length();
    world.advance(NOT_BELIEVED);
    let mut asked = 0;
    while tokio::time::Instant::now() < away || asked < 10 {
        // A caller waits for neither of the two.
        assert_eq!(services[0].token(ask("used")).await.unwrap().access_token, token);
        says_that_the_database_is_away(&services[0].token(ask("unused")).await.unwrap_err());
        let request = GetConnectionRequest { name: name("used") };
        says_that_the_database_is_away(&services[1].connections.get_connection(request).await.unwrap_err());
        asked += 1;
    }
    for service in &services {
        eventually("it says so", async || all_say(service, ServingStatus::NotServing).await).await;
    }
    let broken = tokio::time::timeout(PATIENCE, async {
        while stream.message().await?.is_some() {}
        Ok::<_, Status>(())
    });
    says_that_the_database_is_away(&broken.await.expect("the watcher is left waiting").unwrap_err());

    outage.proxy.mend();
    for service in &services {
        eventually("it recovers", async || all_say(service, ServingStatus::Serving).await).await;
        assert_eq!(service.token(ask("used")).await.unwrap().access_token, token);
        service.token(ask("unused")).await.unwrap();
    }
    eventually("both listen again", async || outage.listeners().await == 2).await;
    world.advance(HOURS);
    let fresh = services[1].token(ask("used")).await.unwrap().access_token;
    assert_ne!(fresh, token);
    assert_eq!(services[0].token(ask("used")).await.unwrap().access_token, fresh);
    let mut stream = watch(&services[1], &resume_token).await;
    services[0].connect(world, "later").await;
    let next = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.connection.unwrap().name, name("later"));
    drop(stream);
    outage.end(services).await;
}

#[tokio::test]
async fn a_database_that_is_gone_for_longer_than_anybody_waits_costs_no_token_in_memory() {
    let Some(outage) = Outage::prepare().await else { return };
    lives_through(outage, OutageProxy::cut).await;
}

#[tokio::test]
async fn a_database_that_answers_nothing_any_more_leaves_nobody_waiting() {
    let Some(outage) = Outage::prepare().await else { return };
    lives_through(outage, OutageProxy::stall).await;
}

/// dify#32174: a refreshed token was never committed.
#[tokio::test]
async fn dify_32174_a_rotated_token_that_meets_an_outage_is_stored_when_it_is_over() {
    let Some(outage) = Outage::prepare().await else { return };
    let world = &outage.world;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut service = outage.start().await;
    service.connect(world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    for _ in 0..2 {
        let mut waiting = outage.refresh_under_way(&service).await;
        outage.proxy.cut();
        says_that_the_database_is_away(&waiting.join_next().await.unwrap().unwrap().unwrap_err());
        eventually("the provider has answered", async || world.sim.counters().refreshes == 1).await;
        tokio::time::sleep(outage_length()).await;
        outage.proxy.mend();
        let mut token = None;
        eventually("the token is there", async || {
            token = service.token(ask("mail")).await.ok();
            token.is_some()
        })
        .await;
        assert_ne!(token.unwrap().access_token, first);
        assert_eq!((world.sim.counters().refreshes, world.sim.counters().refresh_token_reuse), (1, 0));
        assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    }
    outage.end(vec![service]).await;
}

/// The server, or the way to it, vanishes without a word in the very moment of storing: the connection would be waited at for a quarter of
/// an hour, and the rotated token be known to nobody else for as long.
#[tokio::test]
async fn a_rotated_token_whose_commit_is_never_answered_is_stored_over_another_connection() {
    let Some(outage) = Outage::prepare().await else { return };
    let world = &outage.world;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut service = outage.start().await;
    service.connect(world, "mail").await;
    let mut token = service.token(ask("mail")).await.unwrap().access_token;
    for fate in [Fate::Swallowed, Fate::Done] {
        let mut waiting = outage.refresh_under_way(&service).await;
        outage.proxy.on_next("COMMIT", fate);
        let answer = tokio::time::timeout(PATIENCE, waiting.join_next()).await.expect("it waits for ever");
        let fresh = answer.unwrap().unwrap().unwrap().into_inner().access_token;
        assert!(outage.proxy.has_met(), "{fate:?}: the proxy let everything through");
        assert_ne!(fresh, token);
        token = fresh;
        assert_eq!((world.sim.counters().refreshes, world.sim.counters().refresh_token_reuse), (1, 0));
        assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    }
    outage.end(vec![service]).await;
}
