//! Sets of OAuth scopes (RFC 6749 §3.3).

use std::{collections::BTreeSet, fmt};

/// Most scopes of a set.
pub const MAX_SCOPES: usize = 32;
/// Most characters of one scope.
pub const MAX_SCOPE_CHARS: usize = 256;

/// A set of scopes, ordered and without duplicates, so that two requests for the same scopes are the same request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ScopeSet(BTreeSet<String>);

/// Why a list of scopes was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeError {
    /// More than [`MAX_SCOPES`].
    #[error("has more than {MAX_SCOPES} scopes")]
    TooMany,
    /// One is longer than [`MAX_SCOPE_CHARS`].
    #[error("has a scope of more than {MAX_SCOPE_CHARS} characters")]
    TooLong,
    /// One is empty or holds a character that RFC 6749 §3.3 forbids.
    #[error("has a scope that is empty or holds a space, a quote, a backslash or a character outside ASCII")]
    BadCharacter,
}

impl ScopeSet {
    /// Parses scopes one by one.
    pub fn parse<I: IntoIterator<Item = S>, S: AsRef<str>>(scopes: I) -> Result<Self, ScopeError> {
        let mut set = BTreeSet::new();
        for scope in scopes {
            let scope = scope.as_ref();
            if scope.len() > MAX_SCOPE_CHARS {
                return Err(ScopeError::TooLong);
            }
            if scope.is_empty() || !scope.bytes().all(is_scope_character) {
                return Err(ScopeError::BadCharacter);
            }
            set.insert(scope.to_owned());
            if set.len() > MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
        }
        Ok(Self(set))
    }

    /// Parses the space-separated form of the wire and the database.
    pub fn parse_joined(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text.split_ascii_whitespace())
    }

    /// The set with one more scope, which must follow the grammar already.
    #[must_use]
    pub fn with(&self, scope: &str) -> Self {
        let mut set = self.0.clone();
        set.insert(scope.to_owned());
        Self(set)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// `%x21 / %x23-5B / %x5D-7E`.
fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

/// Space-separated, in order.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        let one = ScopeSet::parse(["b", "a", "b"]).unwrap();
        assert_eq!(one, ScopeSet::parse_joined(" a  b ").unwrap());
        assert_eq!(one.to_string(), "a b");
    }

    #[test]
    fn each_rule_has_its_refusal() {
        let many: Vec<String> = (0..=MAX_SCOPES).map(|n| format!("s{n}")).collect();
        assert_eq!(ScopeSet::parse(&many), Err(ScopeError::TooMany));
        assert!(ScopeSet::parse(many.iter().take(MAX_SCOPES)).is_ok());
        assert_eq!(ScopeSet::parse(["a".repeat(MAX_SCOPE_CHARS + 1)]), Err(ScopeError::TooLong));
        for bad in ["", "a b", "a\"", "a\\", "é", "a\n"] {
            assert_eq!(ScopeSet::parse([bad]), Err(ScopeError::BadCharacter), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_joined_form_parses_back(scopes in proptest::collection::vec("[!#-\\[\\]-~]{1,20}", 0..MAX_SCOPES)) {
            let set = ScopeSet::parse(&scopes).unwrap();
            prop_assert_eq!(ScopeSet::parse_joined(&set.to_string()).unwrap(), set);
        }
    }
}
