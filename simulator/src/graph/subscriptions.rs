//! Subscriptions (graph-behaviour §8): made after a handshake, told about changes, renewed, removed.

mod delivery;
mod notify;

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use self::delivery::Outside;
pub use self::notify::LifecycleError;
pub(crate) use self::notify::{run, send_lifecycle};
use super::error::GraphError;
use super::route::{Route, Target};
use super::{Call, items, no_content, sites, timestamp};
use crate::clock::iso;
use crate::drive::item::{ROOT, Slot};
use crate::drive::spec::DriveKind;
use crate::json;
use crate::lock::lock;
use crate::mix::{Sequence, guid, join, text};
use crate::world::World;

/// Longest life of a subscription, in minutes.
const MAX_LIFE_MINUTES: u64 = 42_300;
/// Longest `clientState`, in characters.
const MAX_CLIENT_STATE: usize = 128;
/// Longest address, in bytes.
const MAX_URL_BYTES: usize = 2_048;
/// Most subscriptions at a time.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// One subscription.
#[derive(Clone, Debug)]
struct Subscription {
    id: String,
    resource: String,
    drive: u32,
    folder: Slot,
    notification_url: String,
    lifecycle_url: Option<String>,
    client_state: Option<String>,
    expires_ms: u64,
    tid: String,
    client_id: String,
    /// The last change of the drive it was told about.
    told: u64,
    /// Whether it is told about other permissions as well.
    sharing: bool,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_id: Mutex<BTreeMap<String, Subscription>>,
    outside: Outside,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    change_type: String,
    notification_url: String,
    lifecycle_notification_url: Option<String>,
    resource: String,
    expiration_date_time: String,
    client_state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renewal {
    expiration_date_time: String,
}

/// Answers what is about subscriptions.
pub(super) async fn answer(call: &Call<'_>, route: &Route) -> Result<Response, GraphError> {
    let (world, method) = (call.world, &call.method);
    match route {
        Route::Subscriptions if *method == Method::POST => create(call).await,
        Route::Subscriptions if *method == Method::GET => {
            let own = world.subscriptions.of(world, call);
            let value: Vec<Value> = own.iter().map(Subscription::json).collect();
            Ok(json::response(StatusCode::OK, &json!({"value": value})))
        }
        Route::Subscription(id) => {
            let known = world.subscriptions.of(world, call).into_iter().find(|one| one.id == *id);
            let known = known.ok_or_else(|| GraphError::not_found("The subscription does not exist."))?;
            match method.as_str() {
                "GET" => Ok(json::response(StatusCode::OK, &known.json())),
                "PATCH" => renew(call, known),
                "DELETE" => {
                    lock(&world.subscriptions.by_id).remove(id);
                    Ok(no_content())
                }
                _ => Err(GraphError::not_supported()),
            }
        }
        Route::Reauthorize(id) if *method == Method::POST => {
            let known = world.subscriptions.of(world, call).iter().any(|one| one.id == *id);
            if known {
                Ok(no_content())
            } else {
                Err(GraphError::not_found("The subscription does not exist."))
            }
        }
        Route::Subscriptions
        | Route::Reauthorize(_)
        | Route::InDrive { .. }
        | Route::Shared { .. }
        | Route::Person(_)
        | Route::Drives(_)
        | Route::Site(_)
        | Route::Sites
        | Route::Groups(_)
        | Route::Batch => Err(GraphError::not_supported()),
    }
}

async fn create(call: &Call<'_>) -> Result<Response, GraphError> {
    let asked: Wanted = call.json()?;
    if asked.change_type != "updated" {
        return Err(GraphError::invalid_request(
            "Only the change type 'updated' is supported for drive items.",
        ));
    }
    if asked.client_state.as_ref().is_some_and(|state| state.chars().count() > MAX_CLIENT_STATE) {
        return Err(GraphError::invalid_request("clientState is too long."));
    }
    let world = call.world;
    let expires_ms = expiry(world, &asked.expiration_date_time)?;
    let (drive, folder, told) = watched(call, &asked.resource)?;
    let personal = world.drive_at(drive).is_some_and(|drive| drive.ids.kind() == DriveKind::Personal);
    let same = |one: &Subscription| {
        let place = one.drive == drive && one.folder == folder && one.client_id == call.caller.client_id;
        place && one.notification_url == asked.notification_url
    };
    if let Some(there) = world.subscriptions.of(world, call).iter().find(|one| same(one)) {
        return Err(GraphError::subscription_exists(&there.id));
    }
    for url in
        [Some(&asked.notification_url), asked.lifecycle_notification_url.as_ref()].into_iter().flatten()
    {
        check_url(url)?;
        let token = secret(world);
        world
            .subscriptions
            .outside
            .validate(url, &token)
            .await
            .map_err(|reason| GraphError::validation(&reason))?;
    }
    let subscription = Subscription {
        id: guid(Sequence::new(join(text(&asked.resource), world.number())).bytes()),
        resource: asked.resource,
        drive,
        folder,
        notification_url: asked.notification_url,
        lifecycle_url: asked.lifecycle_notification_url,
        client_state: asked.client_state,
        expires_ms,
        tid: call.caller.tid.clone(),
        client_id: call.caller.client_id.clone(),
        told,
        sharing: call.prefers("includesecuritywebhooks") || personal,
    };
    let body = subscription.json();
    {
        let mut all = lock(&world.subscriptions.by_id);
        if all.len() >= MAX_SUBSCRIPTIONS {
            return Err(GraphError::of_status(403, None));
        }
        all.insert(subscription.id.clone(), subscription);
    }
    // What changed during the handshake is told as well.
    world.changed();
    Ok(json::response(StatusCode::CREATED, &body))
}

fn check_url(url: &str) -> Result<(), GraphError> {
    let known = url.starts_with("http://") || url.starts_with("https://");
    if known && url.len() <= MAX_URL_BYTES && !url.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(GraphError::validation("The notification URL is not valid."))
}

fn secret(world: &World) -> String {
    // A token with characters that have to be decoded finds receivers that do not.
    format!(
        "Validation: Testing client application reachability for subscription Request-Id: {}",
        world.secret()
    )
}

fn expiry(world: &World, wanted: &str) -> Result<u64, GraphError> {
    let invalid = |message| Err(GraphError::invalid_request(message));
    let now_ms = world.clock.now_ms();
    match timestamp::parse(wanted) {
        None => invalid("expirationDateTime is not valid."),
        Some(at_ms) if at_ms <= now_ms => invalid("Subscription expiration has to be in the future."),
        Some(at_ms) if at_ms - now_ms > MAX_LIFE_MINUTES * 60_000 => {
            invalid("Subscription expiration can only be 42300 minutes in the future.")
        }
        Some(at_ms) => Ok(at_ms),
    }
}

/// The drive and folder of a resource, and the last change of the drive.
fn watched(call: &Call<'_>, resource: &str) -> Result<(u32, Slot, u64), GraphError> {
    let path = format!("/v1.0/{}", resource.trim_start_matches('/'));
    let route =
        Route::parse(&path).ok_or_else(|| GraphError::invalid_request("The resource is not supported."))?;
    let found = sites::locate(call.world, &call.caller, route)?;
    let (Some(drive), Route::InDrive { target: Target::Item(item), .. }) = (found.drive, found.route) else {
        return Err(GraphError::invalid_request("The resource is not supported."));
    };
    if !call.caller.owns(&drive) {
        return Err(GraphError::access_denied());
    }
    let (folder, _) = items::find(call, &drive, &item)?;
    let anywhere = drive.ids.kind() == DriveKind::Personal && folder.is_folder();
    if folder.slot != ROOT && !anywhere {
        return Err(GraphError::invalid_request("Only the root of the drive can be watched."));
    }
    let told = drive.tree().sequence();
    Ok((drive.index, folder.slot, told))
}

fn renew(call: &Call<'_>, known: Subscription) -> Result<Response, GraphError> {
    let asked: Renewal = call.json()?;
    let renewed = Subscription { expires_ms: expiry(call.world, &asked.expiration_date_time)?, ..known };
    let body = renewed.json();
    if let Some(there) = lock(&call.world.subscriptions.by_id).get_mut(&renewed.id) {
        there.expires_ms = renewed.expires_ms;
    }
    Ok(json::response(StatusCode::OK, &body))
}

impl Subscriptions {
    /// Those of a caller that live.
    fn of(&self, world: &World, call: &Call<'_>) -> Vec<Subscription> {
        let own = |one: &Subscription| one.tid == call.caller.tid && one.client_id == call.caller.client_id;
        self.living(world).into_iter().filter(own).collect()
    }

    /// Those that live; the others are forgotten.
    fn living(&self, world: &World) -> Vec<Subscription> {
        let now_ms = world.clock.now_ms();
        let mut all = lock(&self.by_id);
        all.retain(|_, one| one.expires_ms > now_ms);
        all.values().cloned().collect()
    }

    /// Those that live, as the control interface tells them.
    pub(crate) fn list(&self, world: &World) -> Vec<Value> {
        self.living(world).iter().map(Subscription::json).collect()
    }
}

impl Subscription {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "resource": self.resource,
            "changeType": "updated",
            "applicationId": self.client_id,
            "notificationUrl": self.notification_url,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "clientState": self.client_state,
            "expirationDateTime": iso(self.expires_ms / 1_000),
        })
    }
}
