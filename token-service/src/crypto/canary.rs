//! One known text per key of the keyring, sealed in the database: a service with another keyring finds out before it answers
//! anybody.

use service_kit::secret::SecretBytes;

use super::{CryptoError, KeyId, KeySource, Place};
use crate::domain::sealed::Sealed;

/// The table that keeps the canaries.
pub const CANARY_TABLE: &str = "keyring_canary";
/// What is sealed. Its value does not matter, only that it never changes.
const CANARY_TEXT: &[u8] = b"sluice keyring canary 1";

fn place(id: &KeyId) -> Place<'_> {
    Place { table: CANARY_TABLE, column: "sealed", row: id.as_str(), generation: 1 }
}

/// Seals the canary of one key.
pub async fn seal_canary(keys: &dyn KeySource, id: &KeyId) -> Result<Sealed, CryptoError> {
    keys.wrap(id, &SecretBytes::new(CANARY_TEXT.to_vec()), &place(id)).await
}

/// Checks that the canary of a key opens.
pub async fn check_canary(keys: &dyn KeySource, id: &KeyId, sealed: &Sealed) -> Result<(), CryptoError> {
    let text = keys.unwrap(sealed, &place(id)).await?;
    if text.expose() == CANARY_TEXT { Ok(()) } else { Err(CryptoError::Open) }
}
