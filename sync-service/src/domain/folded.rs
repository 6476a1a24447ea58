//! The form of a name in which two names are equal when any common file system may take them for one.
//!
//! Whether case and Unicode form count differs between file systems, and between folders of one. So a mirror never has two names in a
//! folder that differ in nothing else, whatever lies below it: what it holds does not depend on where it lies, and it can be copied
//! anywhere. A drive itself has no two names that differ in case only, so next to none is concerned.

use unicode_normalization::UnicodeNormalization as _;

/// The form to compare: decomposed, without case, and without characters that show nothing. Equal for more names than any one file
/// system takes for equal (APFS, NTFS, exFAT, vfat, ext4 with `casefold`), never for fewer. Stored with each item: what it gives for a
/// name must not change without a migration.
pub fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfd()
        .filter(|c| !shows_nothing(*c))
        // Down, up and down again: `ẞ` meets `ss` by way of `ß`, `ς` meets `σ` by way of `Σ`.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfd()
        .filter(|c| !shows_nothing(*c))
        .collect()
}

/// `Default_Ignorable_Code_Point` of Unicode.
fn shows_nothing(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_some_file_system_takes_for_one_are_equal() {
        for (one, other) in [
            ("README.TXT", "readme.txt"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAF\u{c9}", "cafe\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("STRA\u{1e9e}E", "strasse"),
            ("\u{3a3}\u{3c3}\u{3c2}", "\u{3c3}\u{3c3}\u{3c3}"),
            ("\u{212a}", "k"),
            ("\u{17f}", "S"),
            ("\u{130}", "i\u{307}"),
            ("\u{1fd3}", "\u{390}"),
            ("\u{13a0}", "\u{ab70}"),
            ("a\u{200d}b", "ab"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_every_file_system_tells_apart_stay_apart() {
        for (one, other) in [("a", "b"), ("e", "\u{e9}"), ("1", "\u{ff11}"), ("a b", "ab"), ("a%2Fb", "a/b")]
        {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn case_and_form_make_no_difference(name in "\\PC{0,40}") {
            let once = folded(&name);
            prop_assert_eq!(&folded(&once), &once);
            prop_assert_eq!(&folded(&name.to_lowercase()), &once);
            prop_assert_eq!(&folded(&name.nfc().collect::<String>()), &once);
            prop_assert_eq!(&folded(&name.nfd().collect::<String>()), &once);
        }
    }
}
