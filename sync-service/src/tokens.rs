//! What sync-service itself hears from token-service: which connections broke, and which are repaired. It never asks for a token.

mod follow;

pub use follow::follow;
