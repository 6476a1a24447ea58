//! Sluice's gRPC contract: the types generated from the `.proto` files beside this folder.
//!
//! The files are the documentation: `sluice/token/v1` and `sluice/sync/v1`. Messages that carry a token or a code have a
//! `Debug` that does not show it; see `redact.rs`.

/// `sluice.token.v1`: connections, authorizations, access tokens, keys, audit, webhooks.
pub mod token {
    /// Version 1.
    pub mod v1 {
        #![allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated code")]
        tonic::include_proto!("sluice.token.v1");
    }
}

/// `sluice.sync.v1`: sources, runs, workers.
pub mod sync {
    /// Version 1.
    pub mod v1 {
        #![allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated code")]
        tonic::include_proto!("sluice.sync.v1");
    }
}

mod redact;

/// The encoded `FileDescriptorSet` of every file of the contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
