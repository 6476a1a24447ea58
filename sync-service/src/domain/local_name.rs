//! Turns a drive's name into one that a file system takes, and back.
//!
//! A name stays as it came unless the file system cannot hold it: `/` and NUL, the two names `.` and `..`, Sluice's own folder,
//! and names longer than the file system's limit. Those are percent-encoded; a `%` is encoded only where it would otherwise
//! read as one of these codes, so `100%` and `a%20b` stay what they are.

use std::borrow::Cow;

use service_kit::clock::Timestamp;

/// Longest name, in bytes, that common file systems take (`NAME_MAX` of Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// Longest extension, in bytes with its dot, that a cut name keeps.
const MAX_EXTENSION_BYTES: usize = 16;

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

/// The name under which an item waits in the staging folder: its id keeps it from meeting another one, and its own name follows.
pub fn staged(item_id: &str, local: &str) -> String {
    let mut name = encode(item_id, item_id);
    name.push(STAGED_MARK);
    name.push_str(local);
    cut(&name, MAX_NAME_BYTES).to_owned()
}

/// The item's own name in one that [`staged`] made.
pub fn unstaged(staged: &str) -> &str {
    staged.split_once(STAGED_MARK).map_or(staged, |(_, name)| name)
}

/// Stands between id and name of a staged item; no drive's ids contain it.
const STAGED_MARK: char = '~';

/// The name under which something that is not the drive's is kept, the `number`-th one of this second:
/// `report (local copy 2026-11-21 08-30-00).docx`.
pub fn local_copy(name: &str, now: Timestamp, number: u32) -> String {
    let stamp: String = now
        .to_string()
        .chars()
        .take(19)
        .map(|c| match c {
            'T' => ' ',
            ':' => '-',
            c => c,
        })
        .collect();
    let count = if number == 1 { String::new() } else { format!(" {number}") };
    marked(name, &format!(" (local copy {stamp}{count})"))
}

/// The name of the `number`-th thing of one name: `report.docx`, `report (2).docx`.
pub fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { marked(name, &format!(" ({number})")) }
}

/// A name with a mark before its extension, as short as it must be.
fn marked(name: &str, mark: &str) -> String {
    let extension = extension(name);
    let stem = name.strip_suffix(extension).unwrap_or(name);
    format!("{}{mark}{extension}", cut(stem, MAX_NAME_BYTES - mark.len() - extension.len()))
}

/// The longest start of a text that has at most so many bytes.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The extension of a name with its dot; empty where there is none worth keeping.
fn extension(name: &str) -> &str {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_BYTES => {
            name.get(dot..).unwrap_or_default()
        }
        _ => "",
    }
}

fn reads_as_code(rest: &str) -> bool {
    rest.starts_with("%25") || CODES.iter().any(|(_, code)| rest.starts_with(code))
}

fn shorten(encoded: &str, name: &str, item_id: &str) -> String {
    let extension = extension(encoded);
    let mark = format!("~{}", fingerprint(name, item_id));
    format!("{}{mark}{extension}", cut(encoded, MAX_NAME_BYTES - mark.len() - extension.len()))
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

    const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_500);

    #[test]
    fn a_local_copy_tells_when_it_was_kept_and_keeps_its_extension() {
        assert_eq!(local_copy("report.docx", NOON, 1), "report (local copy 2026-11-21 12-00-00).docx");
        assert_eq!(local_copy("report.docx", NOON, 2), "report (local copy 2026-11-21 12-00-00 2).docx");
        assert_eq!(numbered("report.docx", 1), "report.docx");
        assert_eq!(numbered("report.docx", 2), "report (2).docx");
        assert_eq!(local_copy(".hidden", NOON, 1), ".hidden (local copy 2026-11-21 12-00-00)");
    }

    #[test]
    fn a_staged_name_shows_the_items_own() {
        assert_eq!(unstaged(&staged("01ABC!7", "a~b.txt")), "a~b.txt");
        assert_eq!(unstaged("01ABC!7"), "01ABC!7");
    }

    proptest! {
        #[test]
        fn names_of_what_is_kept_are_safe_too(name in "[^/\\x00]{1,255}", number in 1_u32..2000) {
            for local in [local_copy(&encode(&name, "id"), NOON, number), staged("01ABC!7", &encode(&name, "id"))] {
                prop_assert!(!local.is_empty() && local.len() <= MAX_NAME_BYTES);
                prop_assert!(!local.contains('/') && local != "." && local != "..");
            }
        }

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
