//! Reads, lists and deletes connections.

use std::collections::HashMap;

use super::{AppHealth, Context, Health, OpError, RefreshOutcome, get_access_token::find_connection};
use crate::{
    domain::{connection::Connection, names::ConnectionName},
    store::{ConnectionFilter, StoreError},
};

/// Reads a connection, and how it fares.
pub async fn get_connection(
    context: &Context,
    name: &ConnectionName,
) -> Result<(Connection, Health), OpError> {
    let connection = find_connection(context, name).await?.connection;
    let lease = context.store.find_lease(name).await?;
    let outcome = match lease {
        Some(record) if record.is_outcome_unknown() => {
            RefreshOutcome::Unknown { since: record.aftermath.loss_time }
        }
        Some(_) | None => RefreshOutcome::Known,
    };
    let app = app_health_of(context, &connection);
    Ok((connection, Health { app, outcome }))
}

/// Lists up to `limit` connections after the name `after`.
pub async fn list_connections(
    context: &Context,
    filter: &ConnectionFilter,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<(Connection, Health)>, OpError> {
    let connections = context.store.list_connections(filter, after, limit).await?;
    let names: Vec<ConnectionName> = connections.iter().map(|connection| connection.name.clone()).collect();
    let unknown: HashMap<_, _> = context.store.list_unknown_outcomes(&names).await?.into_iter().collect();
    let with_health = |connection: Connection| {
        let since = unknown.get(&connection.name);
        let outcome = since.map_or(RefreshOutcome::Known, |since| RefreshOutcome::Unknown { since: *since });
        let app = app_health_of(context, &connection);
        (connection, Health { app, outcome })
    };
    Ok(connections.into_iter().map(with_health).collect())
}

/// Deletes a connection with its keys and tokens. It waits for a refresh under way, which would otherwise store what it
/// obtained for nobody.
pub async fn delete_connection(context: &Context, name: &ConnectionName) -> Result<(), OpError> {
    let _turn = context.refresh_queue.turn(name).await;
    let deleted = async {
        let transaction = context.store.begin_write().await?;
        transaction.delete_connection(name).await?;
        transaction.record_deletion(name, context.now()).await?;
        transaction.commit().await
    };
    deleted.await.map_err(|error| match error {
        StoreError::NotFound => OpError::ConnectionNotFound(name.clone()),
        StoreError::Conflict
        | StoreError::AlreadyExists
        | StoreError::Inconsistent { .. }
        | StoreError::Unavailable(_) => OpError::Store(error),
    })?;
    context.cache.invalidate(name);
    context.cooldowns.clear(name);
    context.changes.wake();
    tracing::info!(connection.name = %name, "connection deleted");
    Ok(())
}

/// Health of the app behind a connection; unknown for one that this service is not.
pub(super) fn app_health_of(context: &Context, connection: &Connection) -> AppHealth {
    let is_ours =
        connection.client_id == context.provider.client_id() && connection.provider == context.provider.id();
    if is_ours { context.app_health.current() } else { AppHealth::Unknown }
}
