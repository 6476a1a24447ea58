//! Pure decisions and values: no database, no network, no clock of its own.

pub mod account;
pub mod app_breaker;
pub mod authorization;
pub mod connection;
pub mod names;
pub mod pace;
pub mod poll_schedule;
pub mod refresh_lease;
pub mod refresh_policy;
pub mod refresh_schedule;
pub mod scopes;
pub mod sealed;
pub mod token;
pub mod webhook;
