//! Keeps the refresh tokens of connected accounts, encrypted, and hands out short-lived access tokens over gRPC.
//!
//! ```text
//!              gRPC                                                        identity provider
//!               │                                                                  ▲
//!               ▼                                                                  │ forms over TLS
//!   rpc: parse, answer ──► ops: one file per use case ──► domain: decisions     provider
//!                             │            │                                       ▲
//!                             │            └───────────────────────────────────────┘
//!                             ├──► crypto: seal, open ◄── keyring file
//!                             ├──► store: rows, transactions ──► SQLite | PostgreSQL
//!                             └──► webhook: signed requests ──► who wants to be told
//! ```
//!
//! An access token takes the first of three ways that leads there: memory, the sealed row that all replicas share, a refresh.
//! A refresh is shared by everybody who waits for it, detached from all of them, and hands out its token only after the
//! rotated refresh token that came with it is durable. Errors travel back unchanged until `rpc` turns them into a status.
//!
//! In reading order: [`domain`], then the adapters [`crypto`], [`store`], [`provider`] and [`webhook`], then [`ops`], then the edges [`rpc`],
//! [`config`] and [`app`].

pub mod domain;

pub mod crypto;
pub mod provider;
pub mod store;
pub mod webhook;

pub mod ops;

pub mod app;
pub mod config;
pub mod rpc;

pub use app::{App, StartError};
pub use config::{Config, ProviderConfig};
