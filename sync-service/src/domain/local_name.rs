//! Turns a drive's name into one that a file system takes, and back.
//!
//! A name stays as it came unless the file system cannot hold it: `/` and NUL, the two names `.` and `..`, Sluice's own folder,
//! and names longer than the file system's limit. Those are percent-encoded; a `%` is encoded only where it would otherwise
//! read as one of these codes, so `100%` and `a%20b` stay what they are.

use std::borrow::Cow;

/// Longest name, in bytes, that common file systems take (`NAME_MAX` of Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// The folder at the destination's root that belongs to Sluice.
pub const OWN_FOLDER: &str = ".sluice";

/// Codes that the encoding produces, besides `%25` for a literal `%` in front of one of them.
const CODES: [(char, &str); 3] = [('/', "%2F"), ('\0', "%00"), ('.', "%2E")];

/// The name for the destination.
///
/// `item_id` makes the name of a too long one unique: its end is cut, and a tilde with a hash of name and id follows, before the
/// extension. Only such a name cannot be decoded; the index knows it anyway.
pub fn encode(name: &str, item_id: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let reserved = matches!(name, "." | "..") || name.eq_ignore_ascii_case(OWN_FOLDER);
    for (index, c) in name.char_indices() {
        match c {
            '/' => out.push_str("%2F"),
            '\0' => out.push_str("%00"),
            '.' if reserved => out.push_str("%2E"),
            '%' if reads_as_code(name.get(index..).unwrap_or_default()) => out.push_str("%25"),
            _ => out.push(c),
        }
    }
    if out.is_empty() {
        // A drive has no such name; an empty path segment would mean the folder itself.
        out.push_str("%00");
    }
    if out.len() > MAX_NAME_BYTES { shorten(&out, name, item_id) } else { out }
}

/// The drive's name for a name that [`encode`] made without shortening it.
pub fn decode(local: &str) -> Cow<'_, str> {
    if !local.contains('%') {
        return Cow::Borrowed(local);
    }
    if local == "%00" {
        return Cow::Borrowed("");
    }
    let mut out = String::with_capacity(local.len());
    let mut rest = local;
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("%25") {
            out.push('%');
            rest = tail;
        } else if let Some((plain, tail)) =
            CODES.iter().find_map(|(p, code)| Some((*p, rest.strip_prefix(code)?)))
        {
            out.push(plain);
            rest = tail;
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

fn reads_as_code(rest: &str) -> bool {
    rest.starts_with("%25") || CODES.iter().any(|(_, code)| rest.starts_with(code))
}

fn shorten(encoded: &str, name: &str, item_id: &str) -> String {
    /// Longest extension, in bytes with its dot, that is kept.
    const MAX_EXTENSION_BYTES: usize = 16;
    let extension = match encoded.rfind('.') {
        Some(dot) if dot > 0 && encoded.len() - dot <= MAX_EXTENSION_BYTES => {
            encoded.get(dot..).unwrap_or_default()
        }
        _ => "",
    };
    let mark = format!("~{}", fingerprint(name, item_id));
    let mut keep = MAX_NAME_BYTES - mark.len() - extension.len();
    while !encoded.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{mark}{extension}", encoded.get(..keep).unwrap_or_default())
}

fn fingerprint(name: &str, item_id: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(item_id).finalize();
    let (head, _) = digest.split_first_chunk::<8>().map_or((&[0; 8], &[][..]), |parts| parts);
    format!("{:016x}", u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_came() {
        for name in
            ["a.txt", "100%", "a%20b", "#1", "e\u{301}te\u{301}", "😀", ".hidden", "...", "con", "%2e", "a:b"]
        {
            assert_eq!(encode(name, "id"), name);
        }
    }

    #[test]
    fn names_a_file_system_refuses_are_encoded() {
        assert_eq!(encode("a/b", "id"), "a%2Fb");
        assert_eq!(encode(".", "id"), "%2E");
        assert_eq!(encode("..", "id"), "%2E%2E");
        assert_eq!(encode("\0", "id"), "%00");
        assert_eq!(encode(".sluice", "id"), "%2Esluice");
        assert_eq!(encode(".Sluice", "id"), "%2ESluice");
    }

    #[test]
    fn a_literal_code_is_not_mistaken_for_an_encoded_character() {
        assert_eq!(encode("a%2Fb", "id"), "a%252Fb");
        assert_eq!(decode("a%252Fb"), "a%2Fb");
    }

    #[test]
    fn a_too_long_name_is_cut_keeps_its_extension_and_stays_unique() {
        let name = format!("{}.docx", "語".repeat(200));
        let (one, other) = (encode(&name, "1"), encode(&name, "2"));
        assert!(one.len() <= MAX_NAME_BYTES && one.rsplit_once('.').unwrap().1 == "docx");
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn every_encoded_name_is_one_safe_segment(name in "\\PC{0,300}|[./%0-9A-F\\x00]{0,40}") {
            let local = encode(&name, "id");
            prop_assert!(!local.is_empty() && local.len() <= MAX_NAME_BYTES);
            prop_assert!(!local.contains('/') && !local.contains('\0'));
            prop_assert!(local != "." && local != ".." && !local.eq_ignore_ascii_case(OWN_FOLDER));
        }

        #[test]
        fn decoding_gives_the_name_back(name in "[./%025EF\\x00a]{1,60}") {
            prop_assume!(name != "\0");
            let local = encode(&name, "id");
            let back = decode(&local);
            prop_assert_eq!(back.as_ref(), name.as_str());
        }

        #[test]
        fn different_names_stay_different(names in proptest::collection::hash_set("[./%025EFa]{1,8}", 2..20)) {
            let mut seen = HashMap::new();
            for name in names {
                if let Some(other) = seen.insert(encode(&name, "id"), name.clone()) {
                    prop_assert!(false, "{name:?} and {other:?} meet");
                }
            }
        }
    }
}
