//! The token service over real gRPC, on SQLite, against the simulator over HTTP.

#[cfg(test)]
mod device_authorization;
#[cfg(test)]
mod envelope_v1;
#[cfg(test)]
mod get_access_token;
#[cfg(test)]
mod import;
#[cfg(test)]
mod list_and_delete;
#[cfg(test)]
mod needs_reauth;
#[cfg(test)]
mod no_leaks;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod start;
#[cfg(test)]
mod world;
