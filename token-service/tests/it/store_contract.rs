//! What every database must do for the store: the same tests on SQLite and on PostgreSQL.

#[cfg(test)]
mod shared_rows;
#[cfg(test)]
mod webhooks;

use std::{sync::Arc, time::Duration};

use migrations::{Policy, Schema};
use service_kit::{
    clock::{SystemClock, Timestamp},
    database::{self, DatabaseUrl, PoolOptions},
    resource_name::ResourceId,
};
use token_service::{
    domain::{
        connection::{Connection, ConnectionState, SealedCredential, StateKind, StoredConnection},
        names::ConnectionName,
        refresh_lease::{Aftermath, LeaseRecord, Pause, PauseReason, Standing},
        scopes::ScopeSet,
        sealed::Sealed,
    },
    store::{
        ConnectionFilter, MAX_SCOPE_SETS, RowVersion, Store, StoreError, StoredAccessToken, Successor,
        WriteTransaction,
    },
};

use self::{
    shared_rows::{
        a_fence_is_raised_and_never_lowered, claims_are_kept_until_somebody_signs_in,
        imports_are_claimed_whole_or_not_at_all,
    },
    webhooks::{
        a_webhook_endpoint_has_one_owner, an_endpoint_that_nobody_claims_is_forgotten,
        deliveries_keep_the_order_of_each_connection, deliveries_move_with_the_position_or_not_at_all,
        what_was_not_delivered_is_listed,
    },
};
use tokio::task::JoinSet;

use crate::{
    test_database::TestDatabase,
    world::{PATIENCE, eventually},
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LONG: Duration = Duration::from_mins(1);

/// Runs a test on both databases.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("token.db").display());
                super::$name(&super::open(&url).await, &super::open(&url).await).await;
            })+
        }
        mod on_postgresql {
            $(#[tokio::test]
            async fn $name() {
                let Some(database) = crate::test_database::TestDatabase::create().await else { return };
                let url = database.url();
                let (one, other) = (super::open(&url).await, super::open(&url).await);
                super::$name(&one, &other).await;
                super::drop_database(database, (one, other)).await;
            })+
        }
    };
}

contract!(
    connections_come_back_as_they_were,
    a_write_based_on_an_old_row_conflicts,
    a_rotation_is_all_or_nothing,
    a_lease_has_one_owner,
    two_who_take_the_first_lease_at_once_do_not_both_have_it,
    an_expired_lease_is_abandoned_until_somebody_takes_it,
    a_late_owner_does_not_give_back_what_another_took,
    aftermath_is_remembered_and_forgotten,
    changes_are_numbered_in_their_order,
    changes_are_cleared_away_by_age,
    access_tokens_are_bounded_and_go_with_their_connection,
    a_webhook_endpoint_has_one_owner,
    deliveries_keep_the_order_of_each_connection,
    deliveries_move_with_the_position_or_not_at_all,
    what_was_not_delivered_is_listed,
    an_endpoint_that_nobody_claims_is_forgotten,
    a_fence_is_raised_and_never_lowered,
    imports_are_claimed_whole_or_not_at_all,
    claims_are_kept_until_somebody_signs_in,
);

async fn open(url: &str) -> Store {
    let url = DatabaseUrl::parse(url).unwrap();
    let database = database::connect(&url, &PoolOptions::default()).await.unwrap();
    migrations::ensure(&database, Schema::Token, Policy::MigrateEmbedded).await.unwrap();
    Store::new(database, PATIENCE, Arc::new(SystemClock))
}

async fn drop_database(database: TestDatabase, stores: (Store, Store)) {
    drop(stores);
    database.drop().await;
}

fn name(id: &str) -> ConnectionName {
    ConnectionName::parse(&format!("tenants/acme/connections/{id}")).unwrap()
}

fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.as_bytes().to_vec())
}

fn stored(id: &str) -> StoredConnection {
    StoredConnection {
        connection: Connection {
            name: name(id),
            uid: format!("uid-{id}"),
            display_name: "Adele’s files 📁".to_owned(),
            provider: "microsoft".to_owned(),
            client_id: "app".to_owned(),
            scopes: ScopeSet::parse(["a", "b"]).unwrap(),
            account: None,
            state: ConnectionState::Active,
            state_time: NOW,
            create_time: NOW,
            refresh_time: Some(NOW),
            generation: 1,
        },
        credential: SealedCredential {
            data_key: sealed("key"),
            data_key_version: 1,
            refresh_token: sealed("token 1"),
            refresh_token_generation: 1,
        },
    }
}

fn token(id: &str, scope_key: &str, expire_time: Timestamp) -> StoredAccessToken {
    StoredAccessToken {
        connection: name(id),
        scope_key: scope_key.to_owned(),
        token_type: "Bearer".to_owned(),
        granted_scopes: ScopeSet::parse(["a"]).unwrap(),
        obtain_time: NOW,
        expire_time,
        advised_refresh_time: Some(NOW),
        generation: 1,
        access_token: sealed("access"),
    }
}

async fn insert(store: &Store, id: &str) -> StoredConnection {
    let stored = stored(id);
    let transaction = store.begin_write().await.unwrap();
    transaction.insert_connection(&stored).await.unwrap();
    transaction.commit().await.unwrap();
    stored
}

fn successor(generation: i64) -> Successor {
    let refresh_token = sealed(&format!("token {generation}"));
    Successor { refresh_token, generation, refresh_time: NOW, active_since: NOW }
}

async fn connections_come_back_as_they_were(one: &Store, other: &Store) {
    let stored = insert(one, "mail").await;
    let read = other.get_connection(&name("mail")).await.unwrap();
    assert_eq!(read.connection, stored.connection);
    assert_eq!(read.credential.refresh_token, stored.credential.refresh_token);
    assert!(matches!(other.get_connection(&name("none")).await, Err(StoreError::NotFound)));
    let transaction = other.begin_write().await.unwrap();
    assert!(matches!(transaction.insert_connection(&stored).await, Err(StoreError::AlreadyExists)));
    drop(transaction);
    insert(one, "files").await;
    let filter = ConnectionFilter { tenant: None, state: Some(StateKind::Active) };
    let listed = other.list_connections(&filter, None, 10).await.unwrap();
    let names: Vec<_> = listed.into_iter().map(|connection| connection.name).collect();
    assert_eq!(names, [name("files"), name("mail")]);
}

async fn a_write_based_on_an_old_row_conflicts(one: &Store, other: &Store) {
    let stored = insert(one, "mail").await;
    let at = RowVersion::from(&stored.connection);
    let transaction = one.begin_write().await.unwrap();
    transaction.replace_refresh_token(at, &successor(2)).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = other.begin_write().await.unwrap();
    let late = transaction.replace_refresh_token(at, &successor(2)).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
    let state = ConnectionState::NeedsReauth { cause: "late".to_owned() };
    assert!(matches!(transaction.set_connection_state(at, &state, NOW).await, Err(StoreError::Conflict)));
    // A connection of the same name that is another one.
    let impostor = RowVersion { uid: "another", generation: 2, ..at };
    assert!(matches!(
        transaction.replace_refresh_token(impostor, &successor(3)).await,
        Err(StoreError::Conflict)
    ));
    drop(transaction);
    let read = other.get_connection(&name("mail")).await.unwrap();
    assert_eq!((read.connection.generation, read.connection.state), (2, ConnectionState::Active));
}

async fn a_rotation_is_all_or_nothing(one: &Store, other: &Store) {
    let stored = insert(one, "mail").await;
    let transaction = one.begin_write().await.unwrap();
    let at = RowVersion::from(&stored.connection);
    transaction.replace_refresh_token(at, &successor(2)).await.unwrap();
    transaction.replace_access_token(&token("mail", "s", NOW.saturating_add(LONG)), NOW).await.unwrap();
    drop(transaction);
    eventually("the transaction is rolled back", async || {
        other.get_connection(&name("mail")).await.unwrap().connection.generation == 1
    })
    .await;
    assert!(other.find_access_token(&name("mail"), "s").await.unwrap().is_none());
}

async fn take(
    store: &Store,
    at: Option<&LeaseRecord>,
    owner: &str,
    length: Duration,
) -> Result<token_service::domain::refresh_lease::Lease, StoreError> {
    let transaction = store.begin_write().await?;
    let lease = transaction.take_lease(&name("mail"), at, owner, length, &Aftermath::default()).await?;
    transaction.commit().await?;
    Ok(lease)
}

async fn read(store: &Store) -> LeaseRecord {
    store.find_lease(&name("mail")).await.unwrap().unwrap()
}

async fn a_lease_has_one_owner(one: &Store, other: &Store) {
    insert(one, "mail").await;
    assert!(one.find_lease(&name("mail")).await.unwrap().is_none());
    let first = take(one, None, "one", LONG).await.unwrap();
    assert_eq!(first.epoch, 1);
    let held = read(other).await;
    assert_eq!((held.standing(), held.owner.as_deref()), (Standing::Held, Some("one")));

    let transaction = one.begin_write().await.unwrap();
    let was_ours =
        transaction.release_lease(&name("mail"), "one", &first, &Aftermath::default()).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(was_ours);
    let free = read(other).await;
    assert_eq!(free.standing(), Standing::Free);
    assert_eq!(take(other, Some(&free), "other", LONG).await.unwrap().epoch, 2);
    // What was read before is out of date.
    assert!(matches!(take(one, Some(&free), "one", LONG).await, Err(StoreError::Conflict)));
}

async fn two_who_take_the_first_lease_at_once_do_not_both_have_it(one: &Store, other: &Store) {
    insert(one, "mail").await;
    let (first, second) = tokio::join!(take(one, None, "one", LONG), take(other, None, "other", LONG));
    assert_eq!(
        [&first, &second].into_iter().filter(|taken| taken.is_ok()).count(),
        1,
        "{first:?} {second:?}"
    );
    let refused = if first.is_err() { first } else { second };
    assert!(matches!(refused, Err(StoreError::AlreadyExists | StoreError::Conflict)), "{refused:?}");
}

async fn an_expired_lease_is_abandoned_until_somebody_takes_it(one: &Store, other: &Store) {
    insert(one, "mail").await;
    take(one, None, "one", Duration::ZERO).await.unwrap();
    let abandoned = read(other).await;
    assert_eq!(abandoned.standing(), Standing::Abandoned);
    assert!(abandoned.is_outcome_unknown());
    let unknown = other.list_unknown_outcomes(&[name("mail"), name("none")]).await.unwrap();
    assert_eq!(unknown, [(name("mail"), None)]);
    take(other, Some(&abandoned), "other", LONG).await.unwrap();
    assert_eq!(read(one).await.standing(), Standing::Held);
    assert!(one.list_unknown_outcomes(&[name("mail")]).await.unwrap().is_empty());
}

async fn a_late_owner_does_not_give_back_what_another_took(one: &Store, other: &Store) {
    insert(one, "mail").await;
    let late = take(one, None, "one", Duration::ZERO).await.unwrap();
    take(other, Some(&read(other).await), "other", LONG).await.unwrap();
    let transaction = one.begin_write().await.unwrap();
    let was_ours =
        transaction.release_lease(&name("mail"), "one", &late, &Aftermath::default()).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(!was_ours);
    assert_eq!(read(one).await.owner.as_deref(), Some("other"));
}

async fn aftermath_is_remembered_and_forgotten(one: &Store, other: &Store) {
    insert(one, "mail").await;
    let lease = take(one, None, "one", LONG).await.unwrap();
    let pause =
        Pause { until: NOW.saturating_add(LONG), reason: PauseReason::Throttled, cause: "busy".to_owned() };
    let aftermath = Aftermath { losses: 2, loss_time: Some(NOW), pause: Some(pause) };
    let transaction = one.begin_write().await.unwrap();
    transaction.release_lease(&name("mail"), "one", &lease, &aftermath).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(read(other).await.aftermath, aftermath);
    assert_eq!(other.list_unknown_outcomes(&[name("mail")]).await.unwrap(), [(name("mail"), Some(NOW))]);
    let transaction = other.begin_write().await.unwrap();
    transaction.clear_aftermath(&name("mail")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(read(one).await.aftermath, Aftermath::default());

    // Who vanished without a word is forgotten with the credential it used.
    take(one, Some(&read(one).await), "one", Duration::ZERO).await.unwrap();
    assert!(read(other).await.is_outcome_unknown());
    let transaction = other.begin_write().await.unwrap();
    transaction.clear_aftermath(&name("mail")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(read(one).await.standing(), Standing::Free);
    assert_eq!(one.list_unknown_outcomes(&[name("mail")]).await.unwrap(), []);
}

async fn record(store: &Store, id: &str, now: Timestamp) {
    let transaction = store.begin_write().await.unwrap();
    let connection = stored(id).connection;
    transaction.record_state(&connection, &connection.state, NOW, now).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn changes_are_numbered_in_their_order(one: &Store, other: &Store) {
    let undone: WriteTransaction = one.begin_write().await.unwrap();
    undone.record_deletion(&name("never"), NOW).await.unwrap();
    drop(undone);
    let many = |store| async move {
        for number in 0..10 {
            record(store, &format!("c{number}"), NOW).await;
        }
    };
    tokio::join!(many(one), many(other));
    let changes = one.list_changes(0, None, 100).await.unwrap();
    let numbers: Vec<i64> = changes.iter().map(|change| change.sequence).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<i64>>());
    assert_eq!(one.change_count().await.unwrap().latest, 20);
    let elsewhere = ResourceId::parse("elsewhere").unwrap();
    assert!(one.list_changes(0, Some(&elsewhere), 100).await.unwrap().is_empty());
    assert_eq!(one.list_changes(18, Some(name("x").tenant()), 100).await.unwrap().len(), 2);
}

async fn changes_are_cleared_away_by_age(one: &Store, other: &Store) {
    record(one, "old", NOW).await;
    record(one, "new", NOW.saturating_add(LONG)).await;
    assert_eq!(other.delete_changes(NOW).await.unwrap(), 1);
    assert_eq!(other.delete_changes(NOW).await.unwrap(), 0);
    let left = one.list_changes(0, None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].sequence, one.change_count().await.unwrap().pruned), (2, 1));
}

async fn access_tokens_are_bounded_and_go_with_their_connection(one: &Store, other: &Store) {
    insert(one, "mail").await;
    let life = |number: u64| NOW.saturating_add(LONG * u32::try_from(number + 1).unwrap());
    for number in 0..=MAX_SCOPE_SETS {
        let transaction = one.begin_write().await.unwrap();
        let token = token("mail", &number.to_string(), life(number));
        transaction.replace_access_token(&token, NOW).await.unwrap();
        transaction.commit().await.unwrap();
    }
    assert!(other.find_access_token(&name("mail"), "0").await.unwrap().is_none());
    assert!(other.find_access_token(&name("mail"), "1").await.unwrap().is_some());
    // One of them, as it was when it was looked at.
    let generation = other.find_access_token(&name("mail"), "2").await.unwrap().unwrap().generation;
    for (generation, is_there) in [(generation + 1, true), (generation, false), (generation, false)] {
        let transaction = one.begin_write().await.unwrap();
        transaction.delete_access_token(&name("mail"), "2", generation).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(other.find_access_token(&name("mail"), "2").await.unwrap().is_some(), is_there);
    }
    assert!(other.find_access_token(&name("mail"), "3").await.unwrap().is_some());
    take(one, None, "one", LONG).await.unwrap();
    let transaction = other.begin_write().await.unwrap();
    transaction.delete_connection(&name("mail")).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(one.find_access_token(&name("mail"), "1").await.unwrap().is_none());
    assert!(one.find_lease(&name("mail")).await.unwrap().is_none());
}

/// SQLite has one writer at a time: those that wait must not hold what readers need.
#[tokio::test]
async fn whoever_waits_to_write_to_sqlite_is_in_no_readers_way() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(folder.path().join("token.db"));
    let pool = PoolOptions { max_connections: 2, acquire_timeout: Duration::from_secs(2) };
    let database = database::connect(&url, &pool).await.unwrap();
    migrations::ensure(&database, Schema::Token, Policy::MigrateEmbedded).await.unwrap();
    let store = Arc::new(Store::new(database, PATIENCE, Arc::new(SystemClock)));
    insert(&store, "mail").await;
    let writer = store.begin_write().await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        waiting.spawn(async move { record(&store, "mail", NOW).await });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
        store.get_connection(&name("mail")).await.unwrap();
    }
    drop(writer);
    waiting.join_all().await;
    assert_eq!(store.change_count().await.unwrap().latest, 8);
}
