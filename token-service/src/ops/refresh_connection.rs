//! Refreshes a connection now, whatever is at hand.

use std::sync::Arc;

use super::{
    Context, Health, OpError,
    connection_requests::get_connection,
    get_access_token::{FlightKey, find_connection, run_flight},
};
use crate::domain::{connection::Connection, names::ConnectionName, scopes::ScopeSet};

/// The refresh that is joined may be over already and only its caller not answered yet. The next one began later than this call.
const MAX_FLIGHTS: usize = 2;

/// Refreshes and gives the connection as it is afterwards.
///
/// # Errors
/// [`OpError::Busy`] when others change the connection all the time, and those of a refresh.
pub async fn refresh_connection(
    context: &Arc<Context>,
    name: &ConnectionName,
) -> Result<(Connection, Health), Arc<OpError>> {
    let stored = find_connection(context, name).await?;
    let key = FlightKey {
        connection: name.clone(),
        scopes: stored.connection.scopes,
        stale: None,
        is_rejected: false,
        claims: None,
        unconditional: true,
    };
    for _ in 0..MAX_FLIGHTS {
        let epoch = context.cache.epoch();
        let token = run_flight(context, key.clone()).await?;
        let credential = find_connection(context, name).await?.credential;
        if credential.refresh_token_generation > stored.credential.refresh_token_generation {
            context.cache.insert(epoch, name, &ScopeSet::default(), &token, context.now());
            return Ok(get_connection(context, name).await?);
        }
    }
    Err(Arc::new(OpError::Busy))
}
