//! The data key of one row: it seals the row's secrets and is itself stored wrapped by a key of the keyring.

use service_kit::secret::{SecretBytes, SecretString};

use super::{CryptoError, KeyId, KeySource, Place, envelope};
use crate::domain::sealed::Sealed;

/// A random 256-bit key that seals the secrets of one row.
pub struct DataKey {
    id: KeyId,
    key: envelope::Key,
}

impl DataKey {
    /// The version of a row's first data key. It goes up when a row gets another one, and is the generation in the associated
    /// data of the wrapped form.
    pub const FIRST_VERSION: i64 = 1;

    /// Makes a data key.
    pub fn generate(version: i64) -> Result<Self, CryptoError> {
        Ok(Self { id: Self::id(version)?, key: envelope::Key::generate()? })
    }

    /// Wraps the key with the primary key of the keyring.
    pub async fn wrap(&self, keys: &dyn KeySource, place: &Place<'_>) -> Result<Sealed, CryptoError> {
        let text = SecretBytes::new(self.key.expose().to_vec());
        keys.wrap(keys.primary(), &text, place).await
    }

    /// Opens a wrapped data key.
    pub async fn unwrap(
        keys: &dyn KeySource,
        version: i64,
        wrapped: &Sealed,
        place: &Place<'_>,
    ) -> Result<Self, CryptoError> {
        let text = keys.unwrap(wrapped, place).await?;
        let key = envelope::Key::from_slice(text.expose()).ok_or(CryptoError::Open)?;
        Ok(Self { id: Self::id(version)?, key })
    }

    /// Seals a secret of the row.
    pub fn seal(&self, place: &Place<'_>, secret: &SecretString) -> Result<Sealed, CryptoError> {
        envelope::seal(&self.id, &self.key, place, secret.expose().as_bytes())
    }

    /// Opens a secret of the row.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<SecretString, CryptoError> {
        let bytes = envelope::open(&self.key, place, sealed)?;
        let text = std::str::from_utf8(bytes.expose()).ok().ok_or(CryptoError::Open)?;
        Ok(SecretString::new(text.to_owned()))
    }

    /// The id that the stored form names: `data-` and the version.
    fn id(version: i64) -> Result<KeyId, CryptoError> {
        KeyId::parse(&format!("data-{version}")).ok_or(CryptoError::Seal)
    }
}
