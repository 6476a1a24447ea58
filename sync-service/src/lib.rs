//! sync-service keeps sources, runs, cursors and the item index; sync-worker makes destinations equal to drives.
//!
//! Read in this order: [`domain`] decides, [`ops`] does, [`rpc`] speaks, [`store`] remembers. The worker is a client of all that.
//!
//! ```text
//!            sync-service                                         sync-worker
//! rpc ─► ops ─► domain (pure)              gRPC        worker ─► ingest ─► graph-client ─► Graph
//!         └───► store ─► SQLite|PostgreSQL ◄────►        └─────► apply ──► destination
//! ```
//!
//! A plan is a run on a scratch copy of the index with a destination that does nothing: [`ops::plan_run`].
//!
//! A page changes what is *desired*, an outcome what is *applied*; an action follows from the difference alone. So a crash, a
//! failed item and a page that comes twice are all the same: compare again.

pub mod app;
pub mod config;
pub mod destination;
pub mod domain;
pub mod ops;
pub mod rpc;
pub mod store;
pub mod tokens;
pub mod worker;

pub use app::App;
pub use config::Config;
