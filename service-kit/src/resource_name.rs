//! Resource names after AIP-122: `tenants/{tenant}/connections/{connection}` and the like.
//!
//! Each id follows `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`. Types for whole names are made by
//! [`resource_name!`](crate::resource_name!); a value of such a type is a name that follows the grammar.

use std::fmt;

use rand::RngExt as _;

/// Most characters of an id.
pub const MAX_ID_LENGTH: usize = 63;
/// The grammar of an id, for messages.
pub const ID_GRAMMAR: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
/// Random characters of a made-up id: 26 of 32 kinds are 130 bits.
const RANDOM_LENGTH: usize = 26;
const RANDOM_ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";
/// Most characters of what a caller sent that a message repeats.
const MAX_SHOWN: usize = 80;

/// One segment of a resource name that tells siblings apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Box<str>);

impl ResourceId {
    /// Reads an id.
    ///
    /// # Errors
    /// Says which rule of the grammar is broken.
    pub fn parse(id: &str) -> Result<Self, NameError> {
        match broken_rule(id) {
            None => Ok(Self(id.into())),
            Some(rule) => Err(NameError::BadId { id: shown(id), rule }),
        }
    }

    /// Makes up an id nobody has: `{prefix}-{26 random characters}`. Of the prefix, at most 32 characters that ids allow
    /// are used; the random part has 130 bits.
    pub fn new_random(prefix: &str) -> Self {
        let mut id: String =
            prefix.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).take(32).collect();
        if !id.is_empty() {
            id.push('-');
        }
        let mut random = rand::rng();
        for _ in 0..RANDOM_LENGTH {
            let index = usize::from(random.random::<u8>()) % RANDOM_ALPHABET.len();
            id.push(RANDOM_ALPHABET.get(index).copied().map_or('0', char::from));
        }
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a resource name or id. `Display` is one line for whoever typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The segments are not the ones of this kind of name.
    #[error("{name:?} is not of the form {form:?}")]
    WrongForm {
        /// What was given, shortened.
        name: String,
        /// What a name of this kind looks like.
        form: String,
    },
    /// An id breaks the grammar.
    #[error("the id {id:?} {rule}; ids are {ID_GRAMMAR}")]
    BadId {
        /// What was given, shortened.
        id: String,
        /// The rule that is broken.
        rule: BrokenRule,
    },
}

/// The rule of the id grammar that an id breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// There is no character.
    #[error("is empty")]
    Empty,
    /// There are more than [`MAX_ID_LENGTH`] characters.
    #[error("has more than {MAX_ID_LENGTH} characters")]
    TooLong,
    /// A character is not one of a to z, 0 to 9 and `-`.
    #[error("contains {0:?}")]
    Character(char),
    /// It begins with `-`.
    #[error("begins with \"-\"")]
    LeadingHyphen,
    /// It ends with `-`.
    #[error("ends with \"-\"")]
    TrailingHyphen,
}

fn broken_rule(id: &str) -> Option<BrokenRule> {
    if id.is_empty() {
        return Some(BrokenRule::Empty);
    }
    if let Some(other) = id.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Some(BrokenRule::Character(other));
    }
    if id.len() > MAX_ID_LENGTH {
        return Some(BrokenRule::TooLong);
    }
    if id.starts_with('-') {
        return Some(BrokenRule::LeadingHyphen);
    }
    id.ends_with('-').then_some(BrokenRule::TrailingHyphen)
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Reads a name of alternating collections and ids. For [`resource_name!`](crate::resource_name!).
///
/// # Errors
/// The collections are others, or an id breaks the grammar.
#[doc(hidden)]
pub fn parse_segments<const N: usize>(
    name: &str,
    collections: [(&'static str, &'static str); N],
) -> Result<[ResourceId; N], NameError> {
    let form = || collections.map(|(collection, id)| format!("{collection}/{{{id}}}")).join("/");
    let wrong_form = || NameError::WrongForm { name: shown(name), form: form() };
    let mut segments = name.split('/');
    let mut ids = [""; N];
    for (id, (collection, _)) in ids.iter_mut().zip(collections) {
        if segments.next() != Some(collection) {
            return Err(wrong_form());
        }
        *id = segments.next().ok_or_else(wrong_form)?;
    }
    if segments.next().is_some() {
        return Err(wrong_form());
    }
    match ids.into_iter().find_map(|id| broken_rule(id).map(|rule| NameError::BadId { id: shown(id), rule }))
    {
        None => Ok(ids.map(|id| ResourceId(id.into()))),
        Some(error) => Err(error),
    }
}

/// Makes a type for one kind of resource name.
///
/// ```
/// service_kit::resource_name! {
///     /// A shelf of a library.
///     pub struct ShelfName { library: "libraries", shelf: "shelves" }
/// }
///
/// let name = ShelfName::parse("libraries/alexandria/shelves/a-1")?;
/// assert_eq!(name.shelf().as_str(), "a-1");
/// assert_eq!(name.to_string(), "libraries/alexandria/shelves/a-1");
/// assert!(ShelfName::parse("libraries/Alexandria/shelves/a-1").is_err());
/// # Ok::<(), service_kit::resource_name::NameError>(())
/// ```
#[macro_export]
macro_rules! resource_name {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($id:ident : $collection:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name {
            $($id: $crate::resource_name::ResourceId,)+
        }

        impl $name {
            /// The name made of these ids.
            $visibility fn new($($id: $crate::resource_name::ResourceId),+) -> Self {
                Self { $($id),+ }
            }

            /// Reads a name.
            ///
            /// # Errors
            /// The text is another kind of name, or an id breaks the grammar.
            $visibility fn parse(name: &str) -> ::core::result::Result<Self, $crate::resource_name::NameError> {
                let [$($id),+] =
                    $crate::resource_name::parse_segments(name, [$(($collection, ::core::stringify!($id))),+])?;
                ::core::result::Result::Ok(Self { $($id),+ })
            }

            $(
                /// The id after
                #[doc = ::core::concat!("`", $collection, "/`.")]
                $visibility fn $id(&self) -> &$crate::resource_name::ResourceId {
                    &self.$id
                }
            )+
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let mut separator = "";
                $(
                    ::core::write!(f, "{separator}{}/{}", $collection, self.$id)?;
                    separator = "/";
                )+
                let _ = separator;
                ::core::result::Result::Ok(())
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(self, f)
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::resource_name::NameError;

            fn from_str(name: &str) -> ::core::result::Result<Self, Self::Err> {
                Self::parse(name)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    resource_name! {
        /// A run, to test with.
        struct RunName { tenant: "tenants", source: "sources", run: "runs" }
    }

    #[test]
    fn each_rule_of_the_grammar_is_named() {
        for (id, expected) in [
            ("", "is empty"),
            ("Mail", "contains 'M'"),
            ("ma il", "contains ' '"),
            ("mä", "contains 'ä'"),
            ("-mail", "begins with \"-\""),
            ("mail-", "ends with \"-\""),
            ("-", "begins with \"-\""),
            ("a/b", "contains '/'"),
            ("a.b", "contains '.'"),
            ("a_b", "contains '_'"),
            (&"a".repeat(64), "has more than 63 characters"),
        ] {
            let text = ResourceId::parse(id).unwrap_err().to_string();
            assert!(text.contains(expected) && text.ends_with(&format!("ids are {ID_GRAMMAR}")), "{text}");
        }
        for id in ["a", "0", "a-b", "a--b", &"a".repeat(63)] {
            assert_eq!(ResourceId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn another_form_is_refused_with_the_right_one() {
        for name in [
            "",
            "tenants/acme",
            "tenants/acme/sources/docs/runs",
            "tenants/acme/sources/docs/runs/1/",
            "/tenants/acme/sources/docs/runs/1",
            "tenants/acme/connections/docs/runs/1",
        ] {
            let text = RunName::parse(name).unwrap_err().to_string();
            assert!(
                text.contains("is not of the form \"tenants/{tenant}/sources/{source}/runs/{run}\""),
                "{text}"
            );
        }
        let text = RunName::parse("tenants//sources/docs/runs/1").unwrap_err().to_string();
        assert!(text.contains("the id \"\" is empty"), "{text}");
    }

    #[test]
    fn a_long_name_is_shortened_in_the_message_and_stays_on_one_line() {
        let text = RunName::parse(&"x\n".repeat(4000)).unwrap_err().to_string();
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }

    #[test]
    fn random_ids_follow_the_grammar_and_differ() {
        for prefix in ["run", "", "Not-Allowed", &"x".repeat(100)] {
            let id = ResourceId::new_random(prefix);
            assert_eq!(ResourceId::parse(id.as_str()).unwrap(), id);
            assert_ne!(id, ResourceId::new_random(prefix));
        }
        assert!(ResourceId::new_random("run").as_str().starts_with("run-"));
    }

    proptest! {
        #[test]
        fn names_that_follow_the_grammar_come_back_whole(
            tenant in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            source in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            run in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        ) {
            let text = format!("tenants/{tenant}/sources/{source}/runs/{run}");
            let name = RunName::parse(&text).unwrap();
            prop_assert_eq!(name.to_string(), text);
            prop_assert_eq!(
                name.clone(),
                RunName::new(name.tenant().clone(), name.source().clone(), name.run().clone())
            );
        }

        #[test]
        fn whatever_is_accepted_is_what_was_given(text in "\\PC{0,80}") {
            if let Ok(id) = ResourceId::parse(&text) {
                prop_assert_eq!(id.as_str(), text.as_str());
            }
            if let Ok(name) = RunName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
