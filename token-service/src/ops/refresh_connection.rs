//! Refreshes a connection now, whatever is at hand.

use std::sync::Arc;

use super::{
    Context, Health, OpError,
    connection_requests::get_connection,
    get_access_token::{FlightKey, find_connection, run_flight},
};
use crate::domain::{connection::Connection, names::ConnectionName, scopes::ScopeSet};

/// Refreshes and gives the connection as it is afterwards.
pub async fn refresh_connection(
    context: &Arc<Context>,
    name: &ConnectionName,
) -> Result<(Connection, Health), Arc<OpError>> {
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
    context.cache.insert(epoch, name, &ScopeSet::default(), &token, context.now());
    Ok(get_connection(context, name).await?)
}
