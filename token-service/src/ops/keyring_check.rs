//! Refuses to start with another keyring than the database was sealed with.

use service_kit::clock::Timestamp;

use crate::{
    crypto::{CryptoError, KeyId, KeySource, check_canary, seal_canary},
    store::{Store, StoreError},
};

/// Why the keyring and the database do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum KeyringMismatch {
    /// The database needs a key that the keyring does not have.
    #[error(
        "the database was sealed with key {0:?}, which the keyring does not have: start with the keyring that does"
    )]
    MissingKey(String),
    /// A key has the right name and the wrong value.
    #[error(
        "key {0} of the keyring is not the one the database was sealed with: start with the right keyring"
    )]
    WrongKey(KeyId),
    /// A canary cannot be made.
    #[error("no canary can be sealed with key {0}")]
    Seal(KeyId, #[source] CryptoError),
    /// The canaries cannot be read or stored.
    #[error("the keyring cannot be checked against the token database")]
    Store(#[from] StoreError),
}

/// Whether anything was ever sealed in this database.
pub async fn database_has_canaries(store: &Store) -> Result<bool, StoreError> {
    Ok(!store.list_canaries().await?.is_empty())
}

/// Opens the canary of every key the database knows, and leaves one for every key that is new.
pub async fn check_keyring(
    store: &Store,
    keys: &dyn KeySource,
    now: Timestamp,
) -> Result<(), KeyringMismatch> {
    let known = verify(store, keys).await?;
    let mut raced = false;
    for id in keys.key_ids().into_iter().filter(|id| !known.contains(id)) {
        let sealed =
            seal_canary(keys, &id).await.map_err(|error| KeyringMismatch::Seal(id.clone(), error))?;
        match store.insert_canary(id.as_str(), &sealed, now).await {
            Ok(()) => {}
            // Another starter was faster; whether with the same key is to be seen.
            Err(StoreError::AlreadyExists) => raced = true,
            Err(error) => return Err(error.into()),
        }
    }
    if raced {
        verify(store, keys).await?;
    }
    Ok(())
}

async fn verify(store: &Store, keys: &dyn KeySource) -> Result<Vec<KeyId>, KeyringMismatch> {
    let ids = keys.key_ids();
    let mut known = Vec::new();
    for (stored_id, sealed) in store.list_canaries().await? {
        let id = KeyId::parse(&stored_id).filter(|id| ids.contains(id));
        let id = id.ok_or(KeyringMismatch::MissingKey(stored_id))?;
        check_canary(keys, &id, &sealed).await.map_err(|_opaque| KeyringMismatch::WrongKey(id.clone()))?;
        known.push(id);
    }
    Ok(known)
}
