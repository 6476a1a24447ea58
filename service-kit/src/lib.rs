//! What both Sluice servers share and that knows neither tokens nor drives.
//!
//! In reading order: values ([`clock`], [`mod@resource_name`], [`secret`]), errors ([`error_chain`], [`status`], [`paging`]),
//! the process ([`process`], [`lifecycle`], [`telemetry`], [`tls`], [`exit`]), its two edges ([`server`], [`database`]).

pub mod clock;
pub mod resource_name;
pub mod secret;

pub mod error_chain;
pub mod paging;
pub mod status;

pub mod exit;
pub mod lifecycle;
pub mod process;
pub mod telemetry;
pub mod tls;

pub mod database;
pub mod server;
