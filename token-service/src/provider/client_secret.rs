//! The secret of a confidential client. One from a file is read again when the provider refuses it: so it can be changed without a
//! restart, and whoever asks meanwhile notices nothing.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use service_kit::{
    error_chain::ErrorChain,
    secret::{SecretFileError, SecretString},
};

/// Where a client secret comes from.
#[derive(Debug)]
pub enum ClientSecret {
    /// It stays what it is.
    Fixed(SecretString),
    /// A file that holds it and nothing else.
    File(PathBuf),
}

/// The secret at present.
pub(super) struct CurrentSecret {
    value: RwLock<Arc<SecretString>>,
    file: Option<PathBuf>,
}

impl CurrentSecret {
    pub(super) fn new(secret: ClientSecret) -> Result<Self, SecretFileError> {
        let (value, file) = match secret {
            ClientSecret::Fixed(value) => (value, None),
            ClientSecret::File(path) => (SecretString::read_file(&path)?, Some(path)),
        };
        Ok(Self { value: RwLock::new(Arc::new(value)), file })
    }

    pub(super) fn get(&self) -> Arc<SecretString> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another secret than the one that was refused, if there is one by now.
    pub(super) fn after_refusal(&self, refused: &SecretString) -> Option<Arc<SecretString>> {
        let current = self.get();
        if current.expose() != refused.expose() {
            return Some(current);
        }
        let read = match SecretString::read_file(self.file.as_deref()?) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "the client secret cannot be read again");
                return None;
            }
        };
        if read.expose() == refused.expose() {
            return None;
        }
        tracing::info!(
            "the identity provider refused the client secret, and the file holds another one by now"
        );
        let read = Arc::new(read);
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        Some(read)
    }
}
