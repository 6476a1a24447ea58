//! What can go wrong when sealing and opening.

/// Failure of a cryptographic operation. Opening has one opaque failure: what exactly was wrong (key, place, generation, a
/// flipped bit) is nobody's business but an attacker's.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The sealed bytes do not open here with these keys.
    #[error("sealed data does not open")]
    Open,
    /// The text is too long for the cipher, or a key id is not in the keyring.
    #[error("cannot seal")]
    Seal,
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Entropy(#[source] rand::rngs::SysError),
}
