//! The same service on PostgreSQL.

use std::time::Duration;

use migrations::Schema;
use proto::token::v1::{
    AuthorizationState, ConnectionState, DeleteConnectionRequest, GetAuthorizationRequest,
    ListConnectionsRequest, StartDeviceAuthorizationRequest,
};
use sea_orm::Database;
use service_kit::{database::DatabaseUrl, error_chain::ErrorChain, exit::Exit};
use simulator::FIRST_USER;

use crate::{
    test_database::TestDatabase,
    world::{Service, World, ask, eventually, name},
};

const HOURS: Duration = Duration::from_hours(2);

#[tokio::test]
async fn the_whole_life_of_connections_on_two_replicas() {
    let Some(test_database) = TestDatabase::create_empty().await else { return };
    let url = test_database.url();
    let world = World::new().await;
    let config = || {
        let mut config = world.config();
        config.database = DatabaseUrl::parse(&url).unwrap();
        config
    };
    let behind = world.start_with(config()).await.err().expect("a schema that is behind was accepted");
    assert_eq!(behind.exit(), Exit::Configuration);
    assert!(ErrorChain(&behind).to_string().contains("sluice-migrate token up"), "{behind}");
    assert!(!world.keyring_path().exists());

    let database = Database::connect(&url).await.unwrap();
    migrations::up(&database, Schema::Token).await.unwrap();
    let mut first = world.start_with(config()).await.unwrap();
    let mut second = world.start_with(config()).await.unwrap();
    live(&world, &mut first, &mut second).await;
    first.stop().await;
    second.stop().await;
    database.close().await.unwrap();
    test_database.drop().await;
}

async fn live(world: &World, first: &mut Service, second: &mut Service) {
    first.connect(world, "imported").await;
    let token = first.token(ask("imported")).await.unwrap().access_token;
    assert_eq!(second.token(ask("imported")).await.unwrap().access_token, token);

    let request = StartDeviceAuthorizationRequest { connection: name("signed-in"), ..Default::default() };
    let started = first.authorizations.start_device_authorization(request).await.unwrap().into_inner();
    world.sim.approve(&started.user_code).unwrap();
    let authorization = started.authorization.unwrap().name;
    eventually("the sign-in", async || {
        world.advance(Duration::from_secs(1));
        let request = GetAuthorizationRequest { name: authorization.clone() };
        let answer = second.authorizations.get_authorization(request).await.unwrap().into_inner();
        answer.authorization.unwrap().state() == AuthorizationState::Completed
    })
    .await;
    assert!(world.sim.violations().is_empty(), "{:?}", world.sim.violations());

    world.sim.switch(|switches| switches.tokens.rotation = simulator::Rotation::Grace);
    for _ in 0..5 {
        world.advance(HOURS);
        for id in ["imported", "signed-in"] {
            let (one, other) = tokio::join!(first.token(ask(id)), second.token(ask(id)));
            one.unwrap();
            other.unwrap();
        }
    }
    first.connections.delete_connection(DeleteConnectionRequest { name: name("imported") }).await.unwrap();
    world.sim.revoke(FIRST_USER, 50_173);
    world.advance(HOURS);
    second.token(ask("signed-in")).await.unwrap_err();
    let request = ListConnectionsRequest { state: ConnectionState::NeedsReauth.into(), ..Default::default() };
    let listed = first.connections.list_connections(request).await.unwrap().into_inner().connections;
    let names: Vec<String> = listed.into_iter().map(|connection| connection.name).collect();
    assert_eq!(names, [name("signed-in")]);
}
