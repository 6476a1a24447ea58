//! Reads, lists and deletes connections.

use super::{AppHealth, Context, OpError, get_access_token::find_connection};
use crate::{
    domain::{connection::Connection, names::ConnectionName},
    store::{ConnectionFilter, StoreError},
};

/// Reads a connection, with the health of the app behind it.
pub async fn get_connection(
    context: &Context,
    name: &ConnectionName,
) -> Result<(Connection, AppHealth), OpError> {
    let connection = find_connection(context, name).await?.connection;
    let health = app_health_of(context, &connection);
    Ok((connection, health))
}

/// Lists up to `limit` connections after the name `after`.
pub async fn list_connections(
    context: &Context,
    filter: &ConnectionFilter,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<(Connection, AppHealth)>, OpError> {
    let connections = context.store.list_connections(filter, after, limit).await?;
    let with_health = |connection: Connection| {
        let health = app_health_of(context, &connection);
        (connection, health)
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
    tracing::info!(connection.name = %name, "connection deleted");
    Ok(())
}

/// Health of the app behind a connection; unknown for one that this service is not.
pub(super) fn app_health_of(context: &Context, connection: &Connection) -> AppHealth {
    let is_ours =
        connection.client_id == context.provider.client_id() && connection.provider == context.provider.id();
    if is_ours { context.app_health.current() } else { AppHealth::Unknown }
}
