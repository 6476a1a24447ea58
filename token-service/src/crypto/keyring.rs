//! The keyring file: key-encryption keys on disk.
//!
//! ```toml
//! primary = "key-4f1c22d0"
//!
//! [keys]
//! key-4f1c22d0 = "base64 of 32 bytes"
//! ```
//!
//! New data keys are wrapped by the primary key; every key listed can unwrap. The file is readable by its owner and, for a
//! mounted secret, its group; never by others.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{TryRng as _, rngs::SysRng};
use serde::Deserialize;
use service_kit::secret::SecretBytes;
use zeroize::{Zeroize, Zeroizing};

use super::{CryptoError, KeyId, KeySource, Place, envelope};
use crate::domain::sealed::Sealed;

/// Most bytes of a keyring file.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Most keys of a keyring.
const MAX_KEYS: usize = 64;
/// Permission bits that let everybody in.
const OTHERS: u32 = 0o007;
/// Permissions of a keyring that the service makes.
const NEW_FILE_MODE: u32 = 0o600;

/// Why a keyring cannot be used. Each says in one line what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no such file.
    #[error("keyring {} does not exist: create one with --create-keyring, or restore the one this database was sealed with", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("keyring {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("keyring {} cannot be created", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everybody on the machine can get at the keys.
    #[error("keyring {} has mode {mode:04o}, which lets others in: run `chmod o= {}`", .path.display(), .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not a keyring.
    #[error("keyring {} is malformed: {problem}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong; never shows what the file says.
        problem: String,
    },
    /// No random bytes for a new key.
    #[error("no key could be made for keyring {}", .path.display())]
    Generate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CryptoError,
    },
}

/// A keyring read from a file. Key material is wiped when it is dropped.
pub struct FileKeyring {
    primary: KeyId,
    keys: BTreeMap<KeyId, envelope::Key>,
}

impl FileKeyring {
    /// Reads a keyring.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let file = File::open(path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                KeyringError::Missing { path: path.to_owned() }
            } else {
                KeyringError::Read { path: path.to_owned(), source }
            }
        })?;
        let read_error = |source| KeyringError::Read { path: path.to_owned(), source };
        let metadata = file.metadata().map_err(read_error)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyringError::TooOpen { path: path.to_owned(), mode });
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(malformed(path, format!("it is longer than {MAX_FILE_BYTES} bytes")));
        }
        // Room for the whole file from the start: a buffer that grows leaves copies of the keys behind.
        let capacity = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(read_error)?;
        Self::parse(&text).map_err(|problem| malformed(path, problem))
    }

    /// Makes a keyring with one new key, unless the file is there already: then that one is read. Whoever loses a race
    /// between two starters reads the winner's file.
    pub fn create(path: &Path) -> Result<Self, KeyringError> {
        let generate_error = |source| KeyringError::Generate { path: path.to_owned(), source };
        let text = new_keyring_text().map_err(generate_error)?;
        match write_new(path, text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(KeyringError::Create { path: path.to_owned(), source: error })
            }
            Ok(()) | Err(_) => Self::read(path),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own rendering quotes the line, which may hold a key.
        let file: KeyringFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if file.keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let mut keys = BTreeMap::new();
        for (id, encoded) in &file.keys {
            let id = KeyId::parse(id).ok_or_else(|| {
                "a key id is not 1 to 64 characters of lower-case letters, digits and `-`".to_owned()
            })?;
            let bytes = STANDARD.decode(encoded.0.as_bytes()).map(Zeroizing::new);
            let key = bytes.ok().and_then(|bytes| envelope::Key::from_slice(&bytes));
            let key =
                key.ok_or_else(|| format!("key {id} is not the base64 of {} bytes", envelope::KEY_BYTES))?;
            keys.insert(id, key);
        }
        let primary = KeyId::parse(&file.primary)
            .filter(|id| keys.contains_key(id))
            .ok_or_else(|| "`primary` does not name a key under [keys]".to_owned())?;
        Ok(Self { primary, keys })
    }
}

#[async_trait]
impl KeySource for FileKeyring {
    fn primary(&self) -> &KeyId {
        &self.primary
    }

    fn key_ids(&self) -> Vec<KeyId> {
        self.keys.keys().cloned().collect()
    }

    async fn wrap(&self, id: &KeyId, key: &SecretBytes, place: &Place<'_>) -> Result<Sealed, CryptoError> {
        let wrapping = self.keys.get(id).ok_or(CryptoError::Seal)?;
        envelope::seal(id, wrapping, place, key.expose())
    }

    async fn unwrap(&self, wrapped: &Sealed, place: &Place<'_>) -> Result<SecretBytes, CryptoError> {
        let id = envelope::key_id(wrapped)?;
        let wrapping = self.keys.get(&id).ok_or(CryptoError::Open)?;
        envelope::open(wrapping, place, wrapped)
    }
}

/// The file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringFile {
    primary: String,
    keys: BTreeMap<String, EncodedKey>,
}

/// A key as text, wiped when dropped.
#[derive(Deserialize)]
#[serde(transparent)]
struct EncodedKey(String);

impl Drop for EncodedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn malformed(path: &Path, problem: String) -> KeyringError {
    KeyringError::Malformed { path: path.to_owned(), problem }
}

fn new_keyring_text() -> Result<Zeroizing<String>, CryptoError> {
    let key = envelope::Key::generate()?;
    let number = SysRng.try_next_u32().map_err(CryptoError::Entropy)?;
    let encoded = Zeroizing::new(STANDARD.encode(key.expose()));
    Ok(Zeroizing::new(format!(
        "# Sluice keyring: keep it secret, and keep a copy. Without it nothing in the token database can be read.\n\
         primary = \"key-{number:08x}\"\n\n[keys]\nkey-{number:08x} = \"{}\"\n",
        encoded.as_str()
    )))
}

/// Writes a file that is either there whole or not at all, and never replaces another: a temporary file beside it, synced,
/// then linked to its name (a link fails where a rename would overwrite).
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let number = SysRng.try_next_u64().map_err(io::Error::other)?;
    let temporary = folder.join(format!(".{}.{number:016x}.new", name.to_string_lossy()));
    let written = write_synced(&temporary, text).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.and(removed)?;
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(NEW_FILE_MODE).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
