//! Where key-encryption keys come from.

use async_trait::async_trait;
use service_kit::secret::SecretBytes;

use super::{CryptoError, KeyId, Place};
use crate::domain::sealed::Sealed;

/// Keeps key-encryption keys and uses them; they never leave it. Asynchronous, because a key management service answers over
/// the network.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The key that wraps what is new.
    fn primary(&self) -> &KeyId;

    /// Every key that can unwrap, in a fixed order.
    fn key_ids(&self) -> Vec<KeyId>;

    /// Wraps a key for one place.
    async fn wrap(&self, id: &KeyId, key: &SecretBytes, place: &Place<'_>) -> Result<Sealed, CryptoError>;

    /// Unwraps with the key that the sealed form names.
    async fn unwrap(&self, wrapped: &Sealed, place: &Place<'_>) -> Result<SecretBytes, CryptoError>;
}
