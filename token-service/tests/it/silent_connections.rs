//! One connection to the database dies without a word, and the others are fine: packets of it are dropped, as when a host vanishes or
//! a firewall forgets it. The system would wait for a quarter of an hour.

use proto::token::v1::{RefreshConnectionRequest, RefreshOutcome};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use service_kit::database::{self, PoolOptions};
use simulator::Rotation;
use tonic::Status;

use crate::{
    database_outage::{Outage, says_that_the_database_is_away},
    outage_proxy::Fate,
    world::{PATIENCE, Service, World, eventually, name},
};

/// Statements of a refresh, from its first to the one that takes the lease; the provider was not asked yet. Some with the zero byte
/// that ends them, so that they are not what the pool tries a connection with.
const BEFORE_ASKING: [&str; 5] =
    [r#"FROM "connections""#, r#"FROM "refresh_leases""#, "BEGIN\0", "FOR UPDATE", "COMMIT\0"];

async fn refresh(service: &Service) -> Result<(), Status> {
    let request = RefreshConnectionRequest { name: name("mail") };
    let mut connections = service.connections.clone();
    tokio::time::timeout(PATIENCE, connections.refresh_connection(request))
        .await
        .expect("it waits for ever")
        .map(drop)
}

/// A service with a connection that was refreshed before.
async fn prepare() -> Option<(Outage, Service)> {
    let outage = Outage::prepare().await?;
    outage.world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut service = outage.start().await;
    service.connect(&outage.world, "mail").await;
    refresh(&service).await.unwrap();
    outage.world.sim.reset_counters();
    Some((outage, service))
}

async fn beside(outage: &Outage) -> DatabaseConnection {
    Database::connect(outage.database.url()).await.unwrap()
}

async fn strings(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The provider was asked once for each of these refreshes, and what became of each is known.
async fn is_whole(world: &World, service: &Service, refreshes: u64) {
    let counters = world.sim.counters();
    assert_eq!((counters.refreshes, counters.refresh_token_reuse), (refreshes, 0));
    assert_eq!(service.connection(&name("mail")).await.refresh_outcome(), RefreshOutcome::Known);
}

#[tokio::test]
async fn a_connection_that_falls_silent_in_a_refresh_holds_its_account_up_for_a_moment_only() {
    let Some((outage, service)) = prepare().await else { return };
    let mut refreshes = 0;
    for moment in BEFORE_ASKING {
        outage.proxy.on_next(moment, Fate::Lost);
        says_that_the_database_is_away(&refresh(&service).await.unwrap_err());
        assert!(outage.proxy.has_met(), "{moment}: the proxy let everything through");
        // The server holds what the silent connection has locked, until it counts as gone.
        eventually(moment, async || refresh(&service).await.is_ok()).await;
        refreshes += 1;
        is_whole(&outage.world, &service, refreshes).await;
    }
    outage.end(vec![service]).await;
}

#[tokio::test]
async fn a_lease_whose_taking_was_never_answered_is_given_back() {
    let Some((outage, service)) = prepare().await else { return };
    let database = beside(&outage).await;
    outage.proxy.on_next("COMMIT\0", Fate::Done);
    says_that_the_database_is_away(&refresh(&service).await.unwrap_err());
    assert!(outage.proxy.has_met());
    assert_eq!(strings(&database, "SELECT owner FROM refresh_leases").await, [""]);
    refresh(&service).await.unwrap();
    is_whole(&outage.world, &service, 1).await;
    database.close().await.unwrap();
    outage.end(vec![service]).await;
}

/// The commit is done and its answer lost, and so is the reading that would tell whose the connection is.
#[tokio::test]
async fn an_import_knows_its_own_connection_although_the_database_fails_twice() {
    let Some(outage) = Outage::prepare().await else { return };
    let mut service = outage.start().await;
    outage.proxy.on_next(r#"INSERT INTO "connections""#, Fate::Passed);
    outage.proxy.on_next("COMMIT\0", Fate::Done);
    outage.proxy.on_next(r#"INSERT INTO "connections""#, Fate::Passed);
    outage.proxy.on_next(r#"FROM "connections""#, Fate::Swallowed);
    service.connect(&outage.world, "mail").await;
    assert!(outage.proxy.has_met(), "the proxy let everything through");
    is_whole(&outage.world, &service, 1).await;
    outage.end(vec![service]).await;
}

#[tokio::test]
async fn a_line_of_announcements_that_is_dead_without_a_word_is_given_up() {
    let Some((outage, service)) = prepare().await else { return };
    let database = beside(&outage).await;
    let listeners =
        "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let mut first = Vec::new();
    eventually("it listens", async || {
        first = strings(&database, listeners).await;
        first.len() == 1
    })
    .await;
    outage.proxy.on_next("LISTEN sluice_token", Fate::Swallowed);
    eventually("it tries the line", async || outage.proxy.has_met()).await;
    eventually("it listens on another one", async || {
        let now = strings(&database, listeners).await;
        now.len() == 1 && now != first
    })
    .await;
    database.close().await.unwrap();
    outage.end(vec![service]).await;
}

/// What is written afterwards on the same connection would never be committed, and what it locks be locked for ever.
#[tokio::test]
async fn a_transaction_whose_beginning_nobody_waited_for_does_not_stay_open() {
    let Some(outage) = Outage::prepare().await else { return };
    let pool = PoolOptions { max_connections: 1, acquire_timeout: PATIENCE };
    let pool = database::connect(&outage.proxy.url(), &pool).await.unwrap();
    outage.proxy.on_next("BEGIN\0", Fate::Held);
    let begun = database::begin_write(&pool);
    tokio::select! {
        _ = begun => panic!("it began"),
        () = eventually("it is to begin", async || outage.proxy.has_met()) => {}
    }
    outage.proxy.mend();
    pool.execute_unprepared("CREATE TABLE written (id BIGINT)").await.unwrap();
    let database = beside(&outage).await;
    let seen = strings(&database, "SELECT relname::text FROM pg_class WHERE relname = 'written'").await;
    assert_eq!(seen, ["written"]);
    pool.close().await.unwrap();
    database.close().await.unwrap();
    outage.end(Vec::new()).await;
}
