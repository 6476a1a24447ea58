//! A database that answers late.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, TransactionTrait as _};
use service_kit::database::DatabaseUrl;
use token_service::Config;

use crate::{
    test_database::TestDatabase,
    world::{World, ask, eventually},
};

/// Longer than a token lives.
const LONG: Duration = Duration::from_hours(2);

/// Whether somebody waits to read the tokens.
async fn is_waited_for(beside: &DatabaseConnection) -> bool {
    let waiting = "SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = relation \
                   WHERE NOT granted AND relname = 'access_tokens' \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    !beside
        .query_all_raw(sea_orm::Statement::from_string(beside.get_database_backend(), waiting))
        .await
        .unwrap()
        .is_empty()
}

#[tokio::test]
async fn a_token_that_ends_while_it_is_read_is_not_handed_out() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let config = || Config { database: DatabaseUrl::parse(&database.url()).unwrap(), ..world.config() };
    let mut first = world.start_with(config()).await.unwrap();
    first.connect(&world, "mail").await;
    let old = first.token(ask("mail")).await.unwrap().access_token;
    first.stop().await;

    // Has nothing in memory.
    let late = world.start_with(config()).await.unwrap();
    let beside = Database::connect(database.url()).await.unwrap();
    let lock = beside.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE access_tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let meanwhile = async {
        eventually("the token is being read", async || is_waited_for(&beside).await).await;
        world.advance(LONG);
        lock.rollback().await.unwrap();
    };
    let (given, ()) = tokio::join!(late.token(ask("mail")), meanwhile);
    assert_ne!(given.unwrap().access_token, old, "a slow database made an old token young");
    late.stop().await;
    drop(beside);
    database.drop().await;
}
