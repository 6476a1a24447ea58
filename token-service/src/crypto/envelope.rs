//! The stored form, version 1:
//!
//! ```text
//! version (1 byte, = 1) ‖ length of key id (1 byte) ‖ key id ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
//! ```
//!
//! AES-256-GCM (NIST SP 800-38D) with a random nonce. The associated data names the place the bytes belong to, so a ciphertext
//! that was copied to another row or column, or rolled back to an older generation, does not open.

use std::fmt;

use aes_gcm::{Aes256Gcm, KeyInit as _, aead::AeadInOut as _};
use rand::{TryRng as _, rngs::SysRng};
use service_kit::secret::SecretBytes;
use zeroize::Zeroizing;

use super::CryptoError;
use crate::domain::sealed::Sealed;

/// First byte of the stored form.
const FORMAT_VERSION: u8 = 1;
/// Bytes of an AES-256 key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a GCM nonce. With random nonces one key is good for 2^32 messages (SP 800-38D §8.3), which a data key of one
/// connection does not reach in a lifetime.
const NONCE_BYTES: usize = 12;
/// Bytes of a GCM tag.
const TAG_BYTES: usize = 16;
/// Most characters of a key id; its length has one byte.
const KEY_ID_MAX_CHARS: usize = 64;
/// First part of all associated data.
const DOMAIN: &[u8] = b"sluice";

/// Names a key. `[a-z0-9-]`, 1 to 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(String);

impl KeyId {
    /// Parses an id; nothing when it breaks the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=KEY_ID_MAX_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where sealed bytes belong: table, column, row and the generation of what is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table of the database.
    pub table: &'static str,
    /// Column of the table.
    pub column: &'static str,
    /// Name of the row.
    pub row: &'a str,
    /// Generation of the row when the bytes were sealed.
    pub generation: i64,
}

impl Place<'_> {
    /// Every part with its length in front (32 bits, big endian), so that no two places share a byte string.
    fn associated_data(&self) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        let parts = [DOMAIN, self.table.as_bytes(), self.column.as_bytes(), self.row.as_bytes(), &generation];
        let mut data = Vec::new();
        for part in parts {
            // Names are bounded far below 4 GiB; saturating keeps the encoding total.
            data.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// A 256-bit key. Wiped when dropped; it shows nothing.
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// A new key from the operating system's random source.
    pub(super) fn generate() -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(CryptoError::Entropy)?;
        Ok(Self(bytes))
    }

    /// A key from its bytes; nothing when there are not 32.
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes, to be wrapped or written to a keyring.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Seals a text for one place.
pub(super) fn seal(id: &KeyId, key: &Key, place: &Place<'_>, text: &[u8]) -> Result<Sealed, CryptoError> {
    let mut nonce = [0; NONCE_BYTES];
    SysRng.try_fill_bytes(&mut nonce).map_err(CryptoError::Entropy)?;
    seal_with_nonce(id, key, place, text, nonce)
}

/// As [`seal`], with the nonce given: only `seal` and the maker of fixtures call it.
fn seal_with_nonce(
    id: &KeyId,
    key: &Key,
    place: &Place<'_>,
    text: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<Sealed, CryptoError> {
    // Room for the tag from the start: growing later would leave a copy of the text in freed memory.
    let mut buffer = Zeroizing::new(Vec::with_capacity(text.len() + TAG_BYTES));
    buffer.extend_from_slice(text);
    cipher(key)
        .and_then(|cipher| {
            cipher.encrypt_in_place(&nonce.into(), &place.associated_data(), &mut *buffer).ok()
        })
        .ok_or(CryptoError::Seal)?;

    let id_length = u8::try_from(id.0.len()).ok().ok_or(CryptoError::Seal)?;
    let mut stored = Vec::with_capacity(2 + id.0.len() + NONCE_BYTES + buffer.len());
    stored.extend_from_slice(&[FORMAT_VERSION, id_length]);
    stored.extend_from_slice(id.0.as_bytes());
    stored.extend_from_slice(&nonce);
    stored.extend_from_slice(&buffer);
    Ok(Sealed::from_bytes(stored))
}

/// Opens what was sealed for this place with this key.
pub(super) fn open(key: &Key, place: &Place<'_>, sealed: &Sealed) -> Result<SecretBytes, CryptoError> {
    let parts = split(sealed).ok_or(CryptoError::Open)?;
    let mut buffer = Zeroizing::new(parts.ciphertext.to_vec());
    cipher(key)
        .and_then(|cipher| {
            cipher.decrypt_in_place(&parts.nonce.into(), &place.associated_data(), &mut *buffer).ok()
        })
        .ok_or(CryptoError::Open)?;
    Ok(SecretBytes::new(std::mem::take(&mut *buffer)))
}

/// The id of the key that sealed these bytes.
pub(super) fn key_id(sealed: &Sealed) -> Result<KeyId, CryptoError> {
    split(sealed).and_then(|parts| KeyId::parse(parts.key_id)).ok_or(CryptoError::Open)
}

struct Parts<'a> {
    key_id: &'a str,
    nonce: [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

fn split(sealed: &Sealed) -> Option<Parts<'_>> {
    let (version, rest) = sealed.as_bytes().split_first()?;
    let (id_length, rest) = rest.split_first()?;
    let (key_id, rest) = rest.split_at_checked(usize::from(*id_length))?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
    (*version == FORMAT_VERSION && ciphertext.len() >= TAG_BYTES).then_some(Parts {
        key_id: std::str::from_utf8(key_id).ok()?,
        nonce: *nonce,
        ciphertext,
    })
}

fn cipher(key: &Key) -> Option<Aes256Gcm> {
    Aes256Gcm::new_from_slice(key.expose()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        table: "connections",
        column: "refresh_token",
        row: "tenants/a/connections/b",
        generation: 7,
    };

    fn key() -> Key {
        Key::from_slice(&[3; KEY_BYTES]).unwrap()
    }

    fn id() -> KeyId {
        KeyId::parse("k1").unwrap()
    }

    #[test]
    fn what_was_sealed_opens_at_its_place() {
        let sealed = seal(&id(), &key(), &PLACE, b"secret").unwrap();
        assert_eq!(open(&key(), &PLACE, &sealed).unwrap().expose(), b"secret");
        assert_eq!(key_id(&sealed).unwrap(), id());
    }

    #[test]
    fn the_stored_form_is_version_key_id_nonce_ciphertext_tag() {
        let sealed = seal_with_nonce(&id(), &key(), &PLACE, b"secret", [9; NONCE_BYTES]).unwrap();
        let bytes = sealed.as_bytes();
        assert_eq!(&bytes[..4], b"\x01\x02k1");
        assert_eq!(&bytes[4..16], &[9; 12]);
        assert_eq!(bytes.len(), 16 + 6 + TAG_BYTES);
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let first = seal(&id(), &key(), &PLACE, b"secret").unwrap();
        let second = seal(&id(), &key(), &PLACE, b"secret").unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn nothing_opens_at_another_place() {
        let sealed = seal(&id(), &key(), &PLACE, b"secret").unwrap();
        let places = [
            Place { table: "access_tokens", ..PLACE },
            Place { column: "data_key", ..PLACE },
            Place { row: "tenants/a/connections/c", ..PLACE },
            Place { generation: 6, ..PLACE },
            Place { generation: 8, ..PLACE },
        ];
        for place in places {
            assert!(matches!(open(&key(), &place, &sealed), Err(CryptoError::Open)), "{place:?}");
        }
    }

    #[test]
    fn parts_of_a_place_do_not_run_into_each_other() {
        let one = Place { table: "ab", column: "c", ..PLACE };
        let other = Place { table: "a", column: "bc", ..PLACE };
        assert_ne!(one.associated_data(), other.associated_data());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_one_opaque_failure() {
        let sealed = seal(&id(), &key(), &PLACE, b"secret").unwrap().into_bytes();
        for at in 0..sealed.len() {
            // The key id is not authenticated by itself: a wrong id selects a wrong key, which then does not open.
            if (2..4).contains(&at) {
                continue;
            }
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(
                matches!(open(&key(), &PLACE, &Sealed::from_bytes(broken)), Err(CryptoError::Open)),
                "{at}"
            );
            let cut = Sealed::from_bytes(sealed[..at].to_vec());
            assert!(matches!(open(&key(), &PLACE, &cut), Err(CryptoError::Open)), "cut at {at}");
        }
    }

    #[test]
    fn another_key_does_not_open() {
        let sealed = seal(&id(), &key(), &PLACE, b"secret").unwrap();
        let other = Key::from_slice(&[4; KEY_BYTES]).unwrap();
        assert!(matches!(open(&other, &PLACE, &sealed), Err(CryptoError::Open)));
    }

    #[test]
    fn key_ids_follow_their_grammar() {
        let longest = "a".repeat(KEY_ID_MAX_CHARS);
        for good in ["a", "k-2026", longest.as_str()] {
            assert!(KeyId::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(KEY_ID_MAX_CHARS + 1);
        for bad in ["", "A", "a b", "é", long.as_str()] {
            assert!(KeyId::parse(bad).is_none(), "{bad}");
        }
    }
}
