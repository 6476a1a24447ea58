//! The same statements on PostgreSQL, where `TEST_DATABASE_URL` names a server that lets us create databases.

use std::{collections::BTreeSet, env, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use migrations::{Policy, Schema};
use sea_orm::{ConnectionTrait as _, Database};
use service_kit::{
    clock::SystemClock,
    database::{self, DatabaseUrl, PoolOptions},
    resource_name::ResourceId,
};
use sync_service::{
    domain::{filter::Filter, run::RunState, source::NewSource},
    ops::{Ctx, lease_run::lease_run, runs, sources, throttle},
    store::{Store, sources::SourceFilter},
};

use crate::{engine_model, fleet, plans, verify};

/// Sources that two replicas lease at once.
const SOURCES: usize = 24;

#[expect(clippy::disallowed_methods, reason = "a test has no command line to take its server from")]
fn test_server() -> Result<String, env::VarError> {
    env::var("TEST_DATABASE_URL")
}

/// Runs `live` on a database of its own, if there is a server.
async fn with_database(name: &str, live: impl AsyncFnOnce(DatabaseUrl)) {
    let Ok(server) = test_server() else {
        println!("TEST_DATABASE_URL is not set: PostgreSQL is not tested");
        return;
    };
    let maintenance = Database::connect(&server).await.unwrap();
    let database_name = format!("sluice_sync_service_{name}_{}", std::process::id());
    maintenance.execute_unprepared(&format!("CREATE DATABASE {database_name}")).await.unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    let url = DatabaseUrl::parse(&format!("{head}/{database_name}")).unwrap();
    let connection = database::connect(&url, &PoolOptions::default()).await.unwrap();
    assert!(
        migrations::ensure(&connection, Schema::Sync, Policy::RequireCurrent).await.is_err(),
        "a schema that is behind was accepted"
    );
    migrations::up(&connection, Schema::Sync).await.unwrap();
    connection.close().await.unwrap();

    live(url).await;
    maintenance.execute_unprepared(&format!("DROP DATABASE {database_name} WITH (FORCE)")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_and_two_replicas() {
    with_database("engine", async |url| {
        Box::pin(every_due_source_goes_to_one_worker(&url)).await;
        a_budget_is_shared_over_replicas(&url).await;
        engine_model::live_on(&url).await;
        plans::operations::live_on(&url).await;
        verify::operations::live_on(&url).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_workers_that_are_killed() {
    with_database("fleet", async |url| fleet::live_on(Some(url)).await).await;
}

async fn replica(url: &DatabaseUrl) -> Ctx {
    let connection = database::connect(url, &PoolOptions::default()).await.unwrap();
    Ctx::new(Store::new(connection), Arc::new(SystemClock))
}

async fn a_budget_is_shared_over_replicas(url: &DatabaseUrl) {
    let (one, other) = (replica(url).await, replica(url).await);
    let mut news = Box::pin(throttle::watch(other, "app/directory".into()));
    let mut told = async || {
        let news =
            tokio::time::timeout(Duration::from_secs(30), news.next()).await.unwrap().unwrap().unwrap();
        (news.units_per_minute, news.sharers, !news.wait.is_zero())
    };
    assert_eq!(told().await, (None, 1, false));
    for index in 0..2 {
        sources::create(&one, &spec(index)).await.unwrap();
        let lease =
            lease_run(&one, "w", Some(&spec(index).name), &[], Duration::ZERO).await.unwrap().unwrap();
        throttle::join(&one, "app/directory", &lease.run, lease.source.lease.epoch).await.unwrap();
    }
    while told().await.1 != 2 {}
    throttle::report(&one, "app/directory", Duration::from_mins(1), Some(1250)).await.unwrap();
    assert_eq!(told().await, (Some(1250), 2, true));
    for index in 0..2 {
        sources::delete(&one, &spec(index).name).await.unwrap();
    }
    while told().await.1 != 1 {}
}

async fn every_due_source_goes_to_one_worker(url: &DatabaseUrl) {
    let (one, other) = (replica(url).await, replica(url).await);
    for index in 0..SOURCES {
        sources::create(&one, &spec(index)).await.unwrap();
    }
    let drain = async |ctx: Ctx| {
        let mut leased = Vec::new();
        while let Some(lease) = lease_run(&ctx, "w", None, &[], Duration::ZERO).await.unwrap() {
            leased.push(lease.run.to_string());
        }
        leased
    };
    let (mut leased, more) = tokio::join!(drain(one.clone()), drain(other));
    leased.extend(more);
    let different: BTreeSet<&String> = leased.iter().collect();
    assert_eq!((leased.len(), different.len()), (SOURCES, SOURCES));

    let scope = runs::Scope { tenant: Some(ResourceId::parse("many").unwrap()), source: None };
    let running = runs::list(&one, scope, Some(RunState::Running), None, 100).await.unwrap();
    assert_eq!(running.len(), SOURCES);
    let filter = SourceFilter { leased: Some((true, one.now())), ..SourceFilter::default() };
    assert_eq!(sources::list(&one, &filter, None, 100).await.unwrap().len(), SOURCES);
    assert!(matches!(
        sources::create(&one, &spec(0)).await,
        Err(sync_service::ops::OpError::SourceExists(_))
    ));
    for index in 0..SOURCES {
        sources::delete(&one, &spec(index).name).await.unwrap();
    }
    assert_eq!(runs::list(&one, runs::Scope::default(), None, None, 100).await.unwrap().len(), 0);
}

pub(crate) fn spec(index: usize) -> NewSource {
    NewSource {
        name: format!("tenants/many/sources/s{index}").parse().unwrap(),
        display_name: String::new(),
        // Of one connection, only so many are leased at once.
        connection: format!("tenants/many/connections/c{index}").parse().unwrap(),
        drive: "me/drive".parse().unwrap(),
        destination: sync_service::domain::source::Destination::LocalFolder("/nowhere".into()),
        interval: Duration::from_mins(1),
        full_interval: None,
        filter: Filter::default(),
        suspended: false,
    }
}
