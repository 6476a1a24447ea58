//! Secrets in memory: types that cannot be printed, copied or compared by accident, and that are wiped when dropped.
//!
//! The one way in is `new` (or [`SecretString::read_file`]), the one way out is `expose`, which is easy to search for.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

/// Most bytes that a file with a secret may have.
pub const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Secret text. It has no `Display`, `Clone`, `PartialEq` or `Serialize`.
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the place that sends or seals it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a secret from a file, as [`Self::read`] does.
    ///
    /// # Errors
    /// The file cannot be opened, or see [`Self::read`].
    pub fn read_file(path: &Path) -> Result<Self, SecretFileError> {
        let origin = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::read(file, &origin),
            Err(source) => Err(SecretFileError::Read { origin, source }),
        }
    }

    /// Reads a secret to the end, without the line end that editors add. `origin` names where it comes from in errors.
    ///
    /// # Errors
    /// It cannot be read, is longer than [`MAX_SECRET_FILE_BYTES`], is not UTF-8, or is empty.
    pub fn read(from: impl io::Read, origin: &str) -> Result<Self, SecretFileError> {
        let origin = origin.to_owned();
        // Room for all of it at once: a buffer that grows would leave parts of the secret behind in freed memory.
        let room = usize::try_from(MAX_SECRET_FILE_BYTES + 1).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        let read = match from.take(MAX_SECRET_FILE_BYTES + 1).read_to_end(&mut bytes) {
            Ok(read) => u64::try_from(read).unwrap_or(u64::MAX),
            Err(source) => return Err(SecretFileError::Read { origin, source }),
        };
        if read > MAX_SECRET_FILE_BYTES {
            return Err(SecretFileError::TooLong { origin });
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return Err(SecretFileError::NotText { origin }) };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(SecretFileError::Empty { origin });
        }
        Ok(Self::new(text.to_owned()))
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

/// Secret bytes. They have no `Display`, `Clone`, `PartialEq` or `Serialize`.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret itself, for the place that sends or seals it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// Why no secret could be read. No variant contains anything of what was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It could not be opened or read.
    #[error("cannot read the secret in {origin}")]
    Read {
        /// The file.
        origin: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is too long to be a secret.
    #[error("the secret in {origin} is longer than {MAX_SECRET_FILE_BYTES} bytes")]
    TooLong {
        /// The file.
        origin: String,
    },
    /// It is not text.
    #[error("the secret in {origin} is not UTF-8 text")]
    NotText {
        /// The file.
        origin: String,
    },
    /// There is nothing in it.
    #[error("{origin} is empty; it must hold the secret on one line")]
    Empty {
        /// The file.
        origin: String,
    },
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, fs};

    use super::*;

    const CANARY: &str = "canary-77a1";

    #[test]
    fn debug_shows_the_type_and_nothing_else() {
        assert_eq!(format!("{:?}", SecretString::new(CANARY.to_owned())), "SecretString(..)");
        assert_eq!(format!("{:#?}", SecretBytes::new(CANARY.into())), "SecretBytes(..)");
    }

    #[test]
    fn a_file_gives_its_text_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, format!("{CANARY} \r\n")).unwrap();
        assert_eq!(SecretString::read_file(&path).unwrap().expose(), format!("{CANARY} "));
    }

    #[test]
    fn bad_files_are_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let message = |contents: &[u8]| {
            fs::write(&path, contents).unwrap();
            SecretString::read_file(&path).unwrap_err().to_string()
        };
        let long = CANARY.repeat(8192);
        for (contents, expected) in [
            (b"\n".as_slice(), "is empty"),
            (b"\xff\xfe".as_slice(), "not UTF-8"),
            (long.as_bytes(), "longer than 65536 bytes"),
        ] {
            let text = message(contents);
            assert!(text.contains(expected) && text.contains("secret"), "{text}");
            assert!(!text.contains(CANARY), "{text}");
        }
    }

    #[test]
    fn a_missing_file_keeps_the_cause_apart() {
        let error = SecretString::read_file(Path::new("/nonexistent/secret")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the secret in /nonexistent/secret");
        assert!(error.source().is_some());
    }
}
