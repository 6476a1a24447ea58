//! Refreshes a connection now, whatever is at hand.

use std::sync::Arc;

use super::{
    AppHealth, Context, OpError,
    connection_requests::app_health_of,
    get_access_token::{FlightKey, find_connection, run_flight},
};
use crate::{
    domain::{connection::Connection, names::ConnectionName, scopes::ScopeSet},
    store::scope_key,
};

/// Refreshes and gives the connection as it is afterwards.
pub async fn refresh_connection(
    context: &Arc<Context>,
    name: &ConnectionName,
) -> Result<(Connection, AppHealth), Arc<OpError>> {
    let stored = find_connection(context, name).await?;
    let epoch = context.cache.epoch();
    let key = FlightKey {
        connection: name.clone(),
        scopes: stored.connection.scopes,
        stale: None,
        claims: None,
        unconditional: true,
    };
    let token = run_flight(context, key).await?;
    context.cache.insert(epoch, name, &scope_key(&ScopeSet::default()), &token, context.now());
    let connection = find_connection(context, name).await?.connection;
    let health = app_health_of(context, &connection);
    Ok((connection, health))
}
