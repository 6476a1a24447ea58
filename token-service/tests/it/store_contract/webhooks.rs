//! Webhook endpoints and what they are still to be told of.

use std::time::Duration;

use token_service::store::{Delivered, Delivery, DeliveryFilter, Store, StoreError, WaitingDelivery};

use super::{LONG, NOW, name, record};

const ID: &str = "billing";

async fn claim(store: &Store, owner: &str, length: Duration) -> Option<i64> {
    store.claim_webhook_endpoint(ID, owner, length).await.unwrap()
}

/// Changes of some connections, in this order, and deliveries of all of them to an endpoint that `one` holds.
async fn deliver(store: &Store, connections: &[&str]) {
    assert_eq!(claim(store, "one", LONG).await, Some(0));
    for id in connections {
        record(store, id, NOW).await;
    }
    let changes = store.list_changes(0, None, 100).await.unwrap();
    let to = changes.last().unwrap().sequence;
    store.add_deliveries((ID, "one"), (0, to), &changes, NOW).await.unwrap();
}

async fn due(store: &Store) -> Vec<i64> {
    let due: Vec<Delivery> = store.list_due_deliveries(ID, NOW, 100).await.unwrap();
    due.into_iter().map(|delivery| delivery.change.sequence).collect()
}

async fn finish(store: &Store, sequence: i64, delivered: Delivered) {
    store.finish_deliveries(ID, &[(sequence, delivered)], NOW).await.unwrap();
}

fn refused() -> Delivered {
    Delivered::Never { reason: "HTTP 400".to_owned() }
}

pub(super) async fn a_webhook_endpoint_has_one_owner(one: &Store, other: &Store) {
    for id in ["a", "b", "c"] {
        record(one, id, NOW).await;
    }
    // It begins with what comes after.
    assert_eq!(claim(one, "one", LONG).await, Some(3));
    assert_eq!(claim(other, "other", LONG).await, None);
    assert_eq!(claim(one, "one", LONG).await, Some(3));
    other.release_webhook_endpoint(ID, "other").await.unwrap();
    assert_eq!(claim(other, "other", LONG).await, None);
    one.release_webhook_endpoint(ID, "one").await.unwrap();
    assert_eq!(claim(other, "other", Duration::ZERO).await, Some(3));
    // Whoever vanished holds nothing.
    assert_eq!(claim(one, "one", LONG).await, Some(3));
    assert_eq!(claim(other, "other", LONG).await, None);
}

pub(super) async fn deliveries_keep_the_order_of_each_connection(one: &Store, other: &Store) {
    deliver(one, &["a", "a", "b", "a"]).await;
    assert_eq!(due(other).await, [1, 3]);
    assert_eq!(other.count_deliveries(ID).await.unwrap(), 4);
    let later = NOW.saturating_add(LONG);
    finish(one, 1, Delivered::Later { time: later, reason: "HTTP 503".to_owned() }).await;
    finish(one, 3, Delivered::Yes).await;
    // The second change of a connection waits for the first.
    assert!(due(other).await.is_empty());
    assert_eq!(other.next_delivery_time(ID).await.unwrap(), Some(later));
    let again = other.list_due_deliveries(ID, later, 100).await.unwrap();
    assert_eq!(again.iter().map(|due| (due.change.sequence, due.attempts)).collect::<Vec<_>>(), [(1, 1)]);
    finish(one, 1, refused()).await;
    assert_eq!(due(other).await, [2]);
    finish(one, 2, Delivered::Yes).await;
    finish(one, 4, Delivered::Yes).await;
    assert_eq!(other.count_deliveries(ID).await.unwrap(), 0);
    assert_eq!(other.next_delivery_time(ID).await.unwrap(), None);
}

pub(super) async fn deliveries_move_with_the_position_or_not_at_all(one: &Store, other: &Store) {
    assert_eq!(claim(one, "one", LONG).await, Some(0));
    record(one, "a", NOW).await;
    let changes = one.list_changes(0, None, 100).await.unwrap();
    for (owner, at) in [("other", 0), ("one", 7)] {
        let refused = other.add_deliveries((ID, owner), (at, 1), &changes, NOW).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    assert_eq!(one.count_deliveries(ID).await.unwrap(), 0);
    one.add_deliveries((ID, "one"), (0, 1), &changes, NOW).await.unwrap();
    assert_eq!(claim(one, "one", LONG).await, Some(1));
    assert_eq!(other.count_deliveries(ID).await.unwrap(), 1);
}

async fn listed(store: &Store, filter: &DeliveryFilter) -> Vec<WaitingDelivery> {
    store.list_deliveries(filter, None, 100).await.unwrap()
}

pub(super) async fn what_was_not_delivered_is_listed(one: &Store, other: &Store) {
    deliver(one, &["a", "b", "c"]).await;
    finish(one, 1, refused()).await;
    finish(one, 3, Delivered::Yes).await;
    let all = listed(other, &DeliveryFilter::default()).await;
    assert_eq!(all.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((all[0].endpoint.as_str(), all[0].connection.clone()), (ID, name("a")));
    assert_eq!((all[0].attempts, all[0].last_failure.as_str()), (1, "HTTP 400"));
    assert_eq!((all[0].give_up_time, all[1].give_up_time), (Some(NOW), None));
    assert!(all.iter().all(|row| row.change.as_ref().is_some_and(|change| change.sequence == row.sequence)));

    let given_up = |is| DeliveryFilter { given_up: Some(is), ..DeliveryFilter::default() };
    assert_eq!(listed(other, &given_up(true)).await.len(), 1);
    assert_eq!(listed(other, &given_up(false)).await[0].sequence, 2);
    let elsewhere = service_kit::resource_name::ResourceId::parse("elsewhere").unwrap();
    let filter = DeliveryFilter { tenant: Some(elsewhere), ..DeliveryFilter::default() };
    assert!(listed(other, &filter).await.is_empty());
    let filter = DeliveryFilter { tenant: Some(name("a").tenant().clone()), ..DeliveryFilter::default() };
    assert_eq!(listed(other, &filter).await.len(), 2);

    let first = other.list_deliveries(&DeliveryFilter::default(), None, 1).await.unwrap();
    let after = Some((ID, first[0].sequence));
    let second = other.list_deliveries(&DeliveryFilter::default(), after, 100).await.unwrap();
    assert_eq!(second.iter().map(|row| row.sequence).collect::<Vec<_>>(), [2]);

    // Changes may be cleared away before the deliveries that nobody took.
    one.delete_changes(NOW).await.unwrap();
    assert!(listed(other, &given_up(true)).await[0].change.is_none());
    one.delete_old_webhooks(NOW, LONG).await.unwrap();
    assert!(listed(other, &given_up(true)).await.is_empty());
}

pub(super) async fn an_endpoint_that_nobody_claims_is_forgotten(one: &Store, other: &Store) {
    deliver(one, &["a"]).await;
    other.delete_old_webhooks(NOW, Duration::ZERO).await.unwrap();
    assert_eq!(one.count_deliveries(ID).await.unwrap(), 1, "its time is not over");
    one.release_webhook_endpoint(ID, "one").await.unwrap();
    assert_eq!(claim(one, "one", Duration::ZERO).await, Some(1));
    other.delete_old_webhooks(NOW, LONG).await.unwrap();
    assert_eq!(one.count_deliveries(ID).await.unwrap(), 1, "it is kept for a while");
    other.delete_old_webhooks(NOW, Duration::ZERO).await.unwrap();
    assert_eq!(one.count_deliveries(ID).await.unwrap(), 0);
    // Should it come back, it is a new one.
    record(one, "b", NOW).await;
    assert_eq!(claim(other, "other", LONG).await, Some(2));
}
