//! The token service over real gRPC, on SQLite and PostgreSQL, against the simulator over HTTP.

#[cfg(test)]
mod app_breaker;
#[cfg(test)]
mod complaints;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod database_outage;
#[cfg(test)]
mod device_authorization;
#[cfg(test)]
mod envelope_v1;
#[cfg(test)]
mod get_access_token;
#[cfg(test)]
mod hostile_answers;
#[cfg(test)]
mod import;
#[cfg(test)]
mod list_and_delete;
#[cfg(test)]
mod needs_reauth;
#[cfg(test)]
mod no_leaks;
#[cfg(test)]
mod outage_proxy;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod random;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod refresh_ahead;
#[cfg(test)]
mod refresh_model;
#[cfg(test)]
mod rejected_tokens;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod silent_connections;
#[cfg(test)]
mod slow_database;
#[cfg(test)]
mod slow_readers;
#[cfg(test)]
mod start;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod test_database;
#[cfg(test)]
mod watch_connections;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod world;
