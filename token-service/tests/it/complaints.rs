//! What users of other token brokers complained about, and where it is shown that it cannot happen here.
//!
//! | complaint | test |
//! |---|---|
//! | nango#1005: a refresh that hangs is never tried again; its lock ends before it does | `processes`, `replicas` |
//! | nango#988: a changed client secret breaks every connection; oauthapp#35: it cannot be changed without a pause | here |
//! | nango#1016: a refresh reports success and gives the expired token again | `get_access_token` |
//! | nango#2323, #7202: told of a recovery that was none, not told of one that was | `webhooks`, `watch_connections` |
//! | nango#4020: no refresh token for want of `offline_access` | here |
//! | airweave#1797: an expired stored token is never refreshed again | `refresh_ahead` |
//! | coder#17069, #24228: whoever loses a race spoils the row | `needs_reauth` |
//! | nango#6941: its text is not to be had; beside it nango#5505 (asked at every call although it fails) and nango#7000 (waiting for another's refresh is told as a bad credential) | `replicas`, here |
//! | coder#24332: the new refresh token is lost because something fails after the exchange | here, `get_access_token`, `provider/answer` |
//! | coder#25686: a blip makes everybody sign in again | `app_breaker` |
//! | coder#27479: a lease is given back by somebody who does not have it any more | `replicas`, `store_contract` |
//! | oauth2-proxy#1992, #1580, #3456: a lock is shorter than the refresh that it guards | `replicas` |
//! | grafana#20515: replicas that refresh at once deadlock in PostgreSQL | here |
//! | grafana#98195: whoever loses the race for the lock's first row signs people out | here |
//! | MAS#2795, hydra#1831: a lost answer signs people out | `replicas`, `crashes` |
//! | element-x-ios#5903: `invalid_grant` is asked about for ever | `app_breaker` |
//! | n8n#22567: the vendor's client secret expires (AADSTS7000222) and customers are blamed | `app_breaker` |
//! | xagent#1544: any failure deletes the connection | `app_breaker` |
//! | dify#32174: a refreshed token is never committed | `database_outage` |
//! | airbyte#83815: an answer without `expires_in` costs a refresh at every call | here |
//! | spire#4829: callers wait for what could have been done ahead of time | `refresh_ahead` |
//!
//! Vault#5361, #18943 and #31718 (an audit device that hangs stops the service) cannot apply before there is an audit record.

use std::{fs, sync::Arc, time::Duration};

use proto::token::v1::{
    AppHealth, ConnectionState, CreateConnectionRequest, GetAccessTokenRequest, RefreshConnectionRequest,
    token_service_client::TokenServiceClient,
};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use service_kit::{
    lifecycle::Lifecycle,
    server,
    status::{status_reason, status_retry_after},
};
use simulator::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Endpoint, FIRST_USER, Fault, Rotation};
use token_service::{App, config::Tuning, provider::ClientSecret};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{
    hostile_answers::Impostor,
    replicas::{replicas, stop},
    test_database::TestDatabase,
    world::{PATIENCE, SCOPES, World, ask, import, name},
};

const HOURS: Duration = Duration::from_hours(2);

#[tokio::test]
async fn nango_988_oauthapp_35_a_client_secret_is_changed_without_a_restart() {
    let world = World::new().await;
    let file = world.folder.path().join("client.secret");
    let config = || {
        let mut config = world.confidential("");
        config.provider.client_secret = Some(ClientSecret::File(file.clone()));
        config
    };
    fs::write(&file, CONFIDENTIAL_CLIENT_SECRET).unwrap();
    let mut service = world.start_with(config()).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    service.connections.create_connection(import("mail", token)).await.unwrap();
    service.stop().await;

    // The service has a secret that the provider does not take any more.
    fs::write(&file, "expired").unwrap();
    let service = world.start_with(config()).await.unwrap();
    world.advance(HOURS);
    world.sim.reset_counters();
    fs::write(&file, format!("{CONFIDENTIAL_CLIENT_SECRET}\n")).unwrap();
    service.token(ask("mail")).await.unwrap();
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2, "refused once, then with the new secret");
    assert_eq!(service.connection(&name("mail")).await.app_health(), AppHealth::Healthy);

    // An unreadable file changes nothing for the better or the worse.
    fs::remove_file(&file).unwrap();
    world.advance(HOURS);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_client_secret_that_stays_wrong_is_the_apps_failure_and_is_not_repeated() {
    let world = World::new().await;
    let file = world.folder.path().join("client.secret");
    fs::write(&file, "expired").unwrap();
    let mut config = world.confidential("");
    config.provider.client_secret = Some(ClientSecret::File(file));
    let mut service = world.start_with(config).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    let status = service.connections.create_connection(import("mail", token)).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_MISCONFIGURED"));
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    service.stop().await;
}

#[tokio::test]
async fn nango_4020_a_connection_without_offline_access_still_gets_its_refresh_token() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let scopes = vec!["https://graph.microsoft.com/Files.Read.All".to_owned()];
    let request = CreateConnectionRequest { scopes, ..import("mail", world.refresh_token()) };
    service.connections.create_connection(request).await.unwrap();
    for _ in 0..2 {
        world.advance(HOURS);
        service.token(ask("mail")).await.unwrap();
    }
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    service.stop().await;
}

#[tokio::test]
async fn airbyte_83815_an_answer_without_expires_in_costs_no_refresh_at_every_call() {
    let body = br#"{"access_token":"a","refresh_token":"b","token_type":"Bearer"}"#.to_vec();
    let impostor = Impostor::answering("200 OK", "content-type: application/json\r\n", body).await;
    let world = World::new().await;
    let mut config = world.config();
    config.provider.authority = impostor.address.parse().unwrap();
    let mut service = world.start_with(config).await.unwrap();
    service.connections.create_connection(import("mail", "c".to_owned())).await.unwrap();
    for _ in 0..5 {
        service.token(ask("mail")).await.unwrap();
    }
    assert_eq!(impostor.requests(), 1);
    // Such a token is taken to live for five minutes.
    world.advance(Duration::from_mins(5));
    service.token(ask("mail")).await.unwrap();
    assert!(impostor.requests() > 1);
    service.stop().await;
}

/// What was exchanged is stored before anything else is done with it, so nothing can fail in between: no resource is asked
/// whether the token is any good.
#[tokio::test]
async fn coder_24332_a_new_token_is_stored_without_asking_a_resource_about_it() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    for endpoint in [Endpoint::Drive, Endpoint::Item] {
        world.sim.faults().add(Fault::status(403, None).on(endpoint));
    }
    service.connect(&world, "mail").await;
    for _ in 0..2 {
        world.advance(HOURS);
        service.token(ask("mail")).await.unwrap();
    }
    assert_eq!((world.sim.counters().graph_requests, world.sim.counters().refresh_token_reuse), (0, 0));
    service.stop().await;
}

/// Every connection's first lease, which is a new row, is taken by replicas that all want it at once; and the next one again.
async fn nobody_fails_who_loses_the_race(database: Option<&TestDatabase>) {
    const CONNECTIONS: usize = 30;
    let world = World::new().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let mut services = replicas(&world, database).await;
    for number in 0..CONNECTIONS {
        services[0].connect(&world, &format!("c{number}")).await;
    }
    for _ in 0..2 {
        world.advance(HOURS);
        world.sim.reset_counters();
        let mut callers = JoinSet::new();
        for number in 0..CONNECTIONS {
            for service in &services {
                let mut tokens = service.tokens.clone();
                let request = ask(&format!("c{number}"));
                callers.spawn(async move {
                    tokens.get_access_token(request).await.unwrap().into_inner().access_token
                });
            }
        }
        let mut answers = callers.join_all().await;
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), CONNECTIONS);
        assert_eq!(world.sim.counters().of(Endpoint::Token), u64::try_from(CONNECTIONS).unwrap());
        assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    }
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_98195_whoever_loses_the_race_for_a_lease_waits() {
    nobody_fails_who_loses_the_race(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_98195_whoever_loses_the_race_for_a_lease_on_postgresql_waits() {
    let Some(database) = TestDatabase::create().await else { return };
    nobody_fails_who_loses_the_race(Some(&database)).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_20515_replicas_that_refresh_at_once_do_not_deadlock() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let mut services = replicas(&world, Some(&database)).await;
    for number in 0..10 {
        services[0].connect(&world, &format!("c{number}")).await;
    }
    world.advance(HOURS);
    let mut callers = JoinSet::new();
    for number in 0..10 {
        let id = format!("c{number}");
        for service in &services {
            for scopes in [vec![], vec!["User.Read".to_owned()]] {
                let (mut tokens, request) =
                    (service.tokens.clone(), GetAccessTokenRequest { scopes, ..ask(&id) });
                callers.spawn(async move { tokens.get_access_token(request).await.map(drop) });
            }
            let (mut connections, name) = (service.connections.clone(), name(&id));
            callers.spawn(async move {
                connections.refresh_connection(RefreshConnectionRequest { name }).await.map(drop)
            });
        }
        // State changes queue for one row.
        let (mut connections, request) = (
            services[number % 3].connections.clone(),
            import(&format!("new-{number}"), world.refresh_token()),
        );
        callers.spawn(async move { connections.create_connection(request).await.map(drop) });
    }
    for result in callers.join_all().await {
        result.unwrap();
    }
    stop(services).await;
    let connection = Database::connect(database.url()).await.unwrap();
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let deadlocks: i64 =
        connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(deadlocks, 0);
    connection.close().await.unwrap();
    database.drop().await;
}

/// nango#7000: whoever waited in vain for somebody else's refresh was told that the credential is bad.
#[tokio::test]
async fn nango_7000_waiting_in_vain_for_another_refresh_is_no_failure_of_the_connection() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    service.stop().await;
    world.advance(HOURS);
    // A replica that nobody hears of holds the lease for an hour.
    let database = world.open_database().await;
    let insert = format!(
        "INSERT INTO refresh_leases (connection_name, owner, epoch, expire_time, losses, loss_time, retry_time, \
         retry_reason, retry_cause) VALUES ('{}', 'elsewhere', 1, {}, 0, 0, 0, '', '')",
        name("mail"),
        service_kit::clock::Clock::now(&*world.clock).saturating_add(HOURS).as_millis()
    );
    database.execute_unprepared(&insert).await.unwrap();

    // The shorter a refresh may take, the shorter others are waited for.
    let tuning = Tuning { provider_timeout: Duration::from_secs(1) };
    let lifecycle = Lifecycle::new();
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let clock = Arc::clone(&world.clock);
    let app = App::start_tuned((world.config(), tuning), listener, &lifecycle, clock).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", app.address())).unwrap().connect().await.unwrap();
    let mut tokens = TokenServiceClient::new(channel);
    world.sim.reset_counters();
    let status = tokens.get_access_token(ask("mail")).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("BUSY"));
    assert!(status_retry_after(&status).is_some());
    assert_eq!(world.sim.counters().of(Endpoint::Token), 0);
    database.execute_unprepared("DELETE FROM refresh_leases").await.unwrap();
    database.close().await.unwrap();
    tokens.get_access_token(ask("mail")).await.unwrap();
    drop(tokens);
    lifecycle.shut_down(PATIENCE).await;
}
