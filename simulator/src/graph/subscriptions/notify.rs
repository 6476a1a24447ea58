//! Tells subscribers that a drive has changed; not what.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Subscription;
use crate::clock::iso;
use crate::counters::Endpoint;
use crate::faults::FaultKind;
use crate::lock::lock;
use crate::world::World;

/// Most notifications under way at a time; further ones wait.
const MAX_DELIVERIES: usize = 100;

/// Why a lifecycle notification was not sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// No subscription has that id.
    #[error("no such subscription")]
    Unknown,
    /// The subscription has no address for such notifications.
    #[error("the subscription has no lifecycleNotificationUrl")]
    NoAddress,
}

/// Sends notifications until the simulator stops.
pub(crate) async fn run(world: Arc<World>) {
    let mut deliveries = JoinSet::new();
    loop {
        tokio::select! {
            () = world.stopped.cancelled() => return,
            () = world.wake.notified() => {}
        }
        let delay = Duration::from_millis(world.switches().subscriptions.delay_milliseconds);
        if !delay.is_zero() {
            tokio::select! {
                () = world.stopped.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
        for (url, body) in due(&world) {
            while deliveries.len() >= MAX_DELIVERIES {
                tokio::select! {
                    () = world.stopped.cancelled() => return,
                    _ = deliveries.join_next() => {}
                }
            }
            world.counters.request(Endpoint::Notification);
            let world = Arc::clone(&world);
            deliveries.spawn(async move {
                tokio::select! {
                    () = world.stopped.cancelled() => {}
                    () = world.subscriptions.outside.send(&url, &body) => {}
                }
            });
        }
        while deliveries.try_join_next().is_some() {}
    }
}

/// The notifications that are due: those to one address go together.
fn due(world: &World) -> Vec<(String, Value)> {
    let mut by_url: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for subscription in world.subscriptions.living(world) {
        let Some(sequence) = changed(world, &subscription) else { continue };
        if let Some(there) = lock(&world.subscriptions.by_id).get_mut(&subscription.id) {
            there.told = sequence;
        }
        let drive = world.drive_at(subscription.drive);
        let hits = world.faults.strike(Endpoint::Notification, drive.as_ref().map(|drive| drive.ids.drive()));
        if !hits.has(&FaultKind::NotificationMissing) {
            by_url
                .entry(subscription.notification_url.clone())
                .or_default()
                .push(notification(&subscription));
        }
    }
    let copies = usize::try_from(world.switches().subscriptions.copies).unwrap_or(1);
    let bodies = by_url.into_iter().map(|(url, value)| (url, json!({"value": value})));
    bodies.flat_map(|one| std::iter::repeat_n(one, copies)).collect()
}

/// The present count of changes, when something below the folder has changed since the subscriber was told.
fn changed(world: &World, subscription: &Subscription) -> Option<u64> {
    let drive = world.drive_at(subscription.drive)?;
    let tree = drive.tree();
    tree.has_changed(subscription.folder, subscription.told, subscription.sharing).then(|| tree.sequence())
}

fn notification(subscription: &Subscription) -> Value {
    let mut members = common(subscription);
    if let Some(members) = members.as_object_mut() {
        members.insert("changeType".to_owned(), Value::from("updated"));
        members.insert("resourceData".to_owned(), json!({"@odata.type": "#Microsoft.Graph.DriveItem"}));
    }
    members
}

fn common(subscription: &Subscription) -> Value {
    json!({
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": iso(subscription.expires_ms / 1_000),
        "clientState": subscription.client_state,
        "resource": subscription.resource.trim_start_matches('/'),
        "tenantId": subscription.tid,
    })
}

/// Sends a lifecycle notification, such as `reauthorizationRequired`, and waits until it is accepted or given up.
pub(crate) async fn send_lifecycle(world: &World, id: &str, event: &str) -> Result<(), LifecycleError> {
    let known = world.subscriptions.living(world).into_iter().find(|one| one.id == id);
    let subscription = known.ok_or(LifecycleError::Unknown)?;
    let url = subscription.lifecycle_url.as_ref().ok_or(LifecycleError::NoAddress)?;
    let mut body = common(&subscription);
    if let Some(members) = body.as_object_mut() {
        members.insert("lifecycleEvent".to_owned(), Value::from(event));
    }
    world.counters.request(Endpoint::Notification);
    world.subscriptions.outside.send(url, &json!({"value": [body]})).await;
    Ok(())
}
