//! Custody: envelope encryption of everything that is stored and secret.
//!
//! A key-encryption key of the keyring wraps one random data key per row that keeps secrets; the data key seals the secrets.
//! Both use the same stored form (`envelope`), which is for ever: `tests/fixtures/envelope_v1` must open in every version to
//! come. This folder is the only one that knows the cipher.

mod canary;
mod data_key;
mod envelope;
mod error;
mod key_source;
mod keyring;

pub use canary::{CANARY_TABLE, check_canary, seal_canary};
pub use data_key::DataKey;
pub use envelope::{KeyId, Place};
pub use error::CryptoError;
pub use key_source::KeySource;
pub use keyring::{FileKeyring, KeyringError};
