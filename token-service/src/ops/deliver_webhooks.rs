//! Tells webhook endpoints of state changes: at least once each, and each connection's in their order.
//!
//! Changes are numbered rows already. The replica that holds an endpoint turns those after the endpoint's position into
//! deliveries, sends what is due, and stores what became of it. Whoever is killed in between leaves a delivery that is sent again,
//! under the same id. An endpoint that is down costs rows, never a caller's time.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use service_kit::{clock::Timestamp, error_chain::ErrorChain};

use super::{Context, OpError, watch_connections::KEEP_CHANGES};
use crate::{
    domain::webhook::{AfterFailure, after_failure, event_type, message_id, wait_after},
    store::{ConnectionChange, Delivered, Delivery, DeliveryFilter, StoreError, WaitingDelivery},
    webhook::{Message, Sender, WebhookEndpoint},
};

/// Most deliveries to one endpoint under way at once, and most changes that become deliveries at once.
const BATCH: u64 = 32;
/// Most deliveries of one endpoint that wait. While there are so many, changes wait in their own sequence.
const MAX_WAITING: u64 = 10_000;
/// How long an endpoint is held without a sign of life: longer than a round takes.
const CLAIM: Duration = Duration::from_secs(30);
/// How often a replica looks whether it can take over an endpoint.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest pause while deliveries wait: the wall clock may be set.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Shortest pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Pause after the database failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// How often old rows are cleared away.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Delivers until the service stops.
pub async fn run(context: Arc<Context>, sender: Sender, endpoints: Vec<WebhookEndpoint>) {
    join_all(endpoints.iter().map(|endpoint| Courier::new(&context, &sender, endpoint).run())).await;
}

/// Lists up to `limit` changes that an endpoint does not know, after an endpoint and a number.
pub async fn list_deliveries(
    context: &Context,
    filter: &DeliveryFilter,
    after: Option<(&str, i64)>,
    limit: u64,
) -> Result<Vec<WaitingDelivery>, OpError> {
    Ok(context.store.list_deliveries(filter, after, limit).await?)
}

/// Tells one endpoint.
struct Courier<'a> {
    context: &'a Context,
    sender: &'a Sender,
    endpoint: &'a WebhookEndpoint,
    /// Rounds in a row in which the endpoint took nothing.
    failures: u32,
    /// Nothing is sent before this.
    resume_time: Timestamp,
    last_sweep: Option<Timestamp>,
}

impl<'a> Courier<'a> {
    fn new(context: &'a Context, sender: &'a Sender, endpoint: &'a WebhookEndpoint) -> Self {
        let resume_time = Timestamp::from_millis(0);
        Self { context, sender, endpoint, failures: 0, resume_time, last_sweep: None }
    }

    async fn run(mut self) {
        let shutdown = self.context.lifecycle().shutdown_token();
        let mut latest = self.context.changes.subscribe();
        while !shutdown.is_cancelled() {
            latest.mark_unchanged();
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(
                        webhook.endpoint = %self.endpoint.id,
                        error = %ErrorChain(&error),
                        "webhooks wait for the database"
                    );
                    FAILURE_PAUSE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                _ = latest.changed() => {}
            }
        }
        if let Err(error) = self.context.store.release_webhook_endpoint(self.id(), self.owner()).await {
            tracing::info!(
                webhook.endpoint = %self.endpoint.id,
                error = %ErrorChain(&error),
                "a webhook endpoint could not be given back; another replica takes over a little later"
            );
        }
    }

    fn id(&self) -> &str {
        self.endpoint.id.as_str()
    }

    fn owner(&self) -> &str {
        &self.context.replica
    }

    /// Does what can be done now, and says how long to pause.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let store = &self.context.store;
        let Some(position) = store.claim_webhook_endpoint(self.id(), self.owner(), CLAIM).await? else {
            return Ok(LOOK_EVERY);
        };
        let has_more = self.add_deliveries(position).await?;
        self.sweep().await?;
        let now = self.context.now();
        if self.resume_time > now {
            return Ok(self.resume_time.duration_since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
        }
        // Whether an endpoint that failed is up again shows one delivery as well as many.
        let room = if self.failures == 0 { BATCH } else { 1 };
        let due = store.list_due_deliveries(self.id(), now, room).await?;
        if !due.is_empty() {
            self.deliver(&due).await?;
            return Ok(SHORTEST_PAUSE);
        }
        Ok(match store.next_delivery_time(self.id()).await? {
            _ if has_more => SHORTEST_PAUSE,
            Some(next) => next.duration_since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
            None => LOOK_EVERY,
        })
    }

    /// Turns changes into deliveries. Says whether there are more.
    async fn add_deliveries(&self, position: i64) -> Result<bool, StoreError> {
        let store = &self.context.store;
        if store.count_deliveries(self.id()).await? > MAX_WAITING - BATCH {
            return Ok(false);
        }
        let pruned = store.change_count().await?.pruned;
        let after = position.max(pruned);
        if after > position {
            tracing::error!(
                webhook.endpoint = %self.endpoint.id,
                change.count = after - position,
                "the endpoint was not told of changes that are not kept any more: its owner must list the connections"
            );
        }
        let changes = store.list_changes(after, None, BATCH).await?;
        let to = changes.last().map_or(after, |last| last.sequence);
        if to > position {
            let added =
                store.add_deliveries((self.id(), self.owner()), (position, to), &changes, self.context.now());
            added.await?;
        }
        Ok(u64::try_from(changes.len()).unwrap_or(u64::MAX) == BATCH)
    }

    /// Sends, all at once, and stores what became of it. Shutting down cuts short what is under way: it is sent again.
    async fn deliver(&mut self, due: &[Delivery]) -> Result<(), StoreError> {
        let shutdown = self.context.lifecycle().shutdown_token();
        let attempts = due.iter().map(|delivery| shutdown.run_until_cancelled(self.attempt(delivery)));
        let attempts: Vec<Attempt> = join_all(attempts).await.into_iter().flatten().collect();
        let now = self.context.now();
        if attempts.iter().any(|attempt| attempt.is_endpoint_up) {
            self.failures = 0;
        } else if !attempts.is_empty() {
            self.failures = self.failures.saturating_add(1);
            self.resume_time = now.saturating_add(wait_after(self.failures));
        }
        let finished: Vec<_> = attempts.into_iter().map(|attempt| attempt.finished).collect();
        self.context.store.finish_deliveries(self.id(), &finished, now).await
    }

    async fn attempt(&self, delivery: &Delivery) -> Attempt {
        let change = &delivery.change;
        let message = message(change, self.context.now());
        let Err(failure) = self.sender.send(self.endpoint, &message).await else {
            tracing::debug!(webhook.endpoint = %self.endpoint.id, webhook.id = message.id, "webhook delivered");
            return Attempt { finished: (change.sequence, Delivered::Yes), is_endpoint_up: true };
        };
        let attempts = delivery.attempts.saturating_add(1);
        let spread = u8::try_from(change.sequence.rem_euclid(256)).unwrap_or(0);
        let (now, reason) = (self.context.now(), failure.reason);
        let after = after_failure(attempts, change.change_time, now, failure.retry_after, spread);
        let delivered = match after {
            AfterFailure::Retry(time) => {
                tracing::warn!(
                    webhook.endpoint = %self.endpoint.id,
                    webhook.id = message.id,
                    webhook.failure = reason,
                    webhook.attempts = attempts,
                    "a webhook was not delivered, trying again"
                );
                Delivered::Later { time, reason }
            }
            AfterFailure::GiveUp => {
                tracing::error!(
                    webhook.endpoint = %self.endpoint.id,
                    webhook.id = message.id,
                    webhook.failure = reason,
                    webhook.attempts = attempts,
                    connection.name = %change.connection,
                    "a webhook is given up: the endpoint does not know this change"
                );
                Delivered::Never { reason }
            }
        };
        Attempt { finished: (change.sequence, delivered), is_endpoint_up: failure.is_about_message }
    }

    /// Clears away what is of no use any more.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let now = self.context.now();
        if self.last_sweep.is_some_and(|last| now.duration_since(last) < SWEEP_EVERY) {
            return Ok(());
        }
        self.context.store.delete_old_webhooks(now.saturating_sub(KEEP_CHANGES), KEEP_CHANGES).await?;
        self.last_sweep = Some(now);
        Ok(())
    }
}

/// One attempt and what it says about the endpoint.
struct Attempt {
    finished: (i64, Delivered),
    is_endpoint_up: bool,
}

/// What an endpoint is told. It holds nothing that is worth stealing.
fn message(change: &ConnectionChange, now: Timestamp) -> Message {
    let state = change.state.as_ref();
    let mut data = json!({
        "connection": change.connection.to_string(),
        "since": change.state_time.to_string(),
    });
    if let (Some(state), Some(members)) =
        (state.filter(|state| !state.cause().is_empty()), data.as_object_mut())
    {
        members.insert("cause".to_owned(), state.cause().into());
    }
    let body = json!({
        "type": event_type(state),
        "timestamp": change.change_time.to_string(),
        "data": data,
    });
    Message {
        id: message_id(change.sequence, change.change_time),
        timestamp: now.as_millis().div_euclid(1000),
        body: body.to_string(),
    }
}
