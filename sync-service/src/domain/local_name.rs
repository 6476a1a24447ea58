//! Turns a drive's name into one that file systems take, and back.
//!
//! A name stays as it came unless some common file system cannot hold it: `/`, NUL and what Windows refuses (`"*:<>?|\`, control
//! characters, a dot or space at the end, names of devices), the two names `.` and `..`, whatever may be taken for Sluice's own folder,
//! and names longer than the limit. Characters are percent-encoded; a `%` is encoded only where it would otherwise read as one of these
//! codes, so `100%` and `a%20b` stay what they are. Drives follow Windows' rules themselves, so next to no name changes.
//!
//! All this is the same whatever a destination lies on: a mirror can be copied to another file system, and goes on there.

use std::borrow::Cow;

use service_kit::clock::Timestamp;

use super::folded::folded;

/// Longest name, in bytes, that common file systems take (`NAME_MAX` of Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// Longest extension, in bytes with its dot, that a cut name keeps.
const MAX_EXTENSION_BYTES: usize = 16;

/// The folder at the destination's root that belongs to Sluice.
pub const OWN_FOLDER: &str = ".sluice";

/// What FAT and NTFS also call [`OWN_FOLDER`]; a number follows.
const OWN_FOLDER_SHORT: &str = "sluice~";

/// Characters that are encoded wherever they are, beside control characters.
const REFUSED: [char; 9] = ['/', '"', '*', ':', '<', '>', '?', '|', '\\'];

/// Stands in a name for nothing: keeps it from being another one. Sixteen hexadecimal digits may follow.
const MARK: &str = "%~";

/// Digits of a [`fingerprint`].
const FINGERPRINT: usize = 16;

/// Names of devices, with any extension (Windows).
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Names of devices that a digit follows.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// The name for the destination.
///
/// `item_id` makes the name of a too long one unique: its end is cut, and a tilde with a hash of name and id follows, before the
/// extension. Only such a name cannot be decoded; the index knows it anyway.
pub fn encode(name: &str, item_id: &str) -> String {
    within_limit(escape(name), name, item_id)
}

/// The name of an item that must not be taken for another one of its folder: a mark goes before the extension.
pub fn encode_apart(name: &str, item_id: &str) -> String {
    let plain = escape(name);
    let extension = extension(&plain);
    let stem = plain.strip_suffix(extension).unwrap_or(&plain);
    within_limit(format!("{stem}{MARK}{}{extension}", fingerprint(name, item_id)), name, item_id)
}

fn within_limit(encoded: String, name: &str, item_id: &str) -> String {
    if encoded.len() > MAX_NAME_BYTES { shorten(&encoded, name, item_id) } else { encoded }
}

fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let own = matches!(name, "." | "..") || folded(name) == OWN_FOLDER;
    let device = device(name);
    for (index, c) in name.char_indices() {
        let rest = name.get(index..).unwrap_or_default();
        let last = rest.len() == c.len_utf8();
        if device == Some(index) {
            out.push_str(MARK);
        }
        match c {
            '.' if own || last => out.push_str("%2E"),
            ' ' if last => out.push_str("%20"),
            '%' if code(rest).is_some() => out.push_str("%25"),
            c if is_refused(c) => push_code(&mut out, c),
            c => out.push(c),
        }
    }
    if name.is_empty() {
        // A drive has no such name; an empty path segment would mean the folder itself.
        out.push_str("%00");
    }
    if device == Some(name.len()) {
        out.push_str(MARK);
    }
    out
}

fn is_refused(c: char) -> bool {
    REFUSED.contains(&c) || u32::from(c) < 0x20
}

fn push_code(out: &mut String, c: char) {
    out.push('%');
    let digits = [u32::from(c) >> 4, u32::from(c) & 0xF].map(|digit| char::from_digit(digit, 16));
    out.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
}

/// Where the name of a device ends, or the short one of Sluice's own folder; `None` for any other name.
fn device(name: &str) -> Option<usize> {
    let end = name.find('.').unwrap_or(name.len());
    let stem = name.get(..end).unwrap_or_default().trim_end_matches(' ');
    let folded = folded(stem);
    let numbered = |prefix: &&str| folded.strip_prefix(*prefix).is_some_and(one_digit);
    let short = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let refused = DEVICES.contains(&folded.as_str())
        || NUMBERED_DEVICES.iter().any(numbered)
        || folded.strip_prefix(OWN_FOLDER_SHORT).is_some_and(short);
    refused.then_some(stem.len())
}

/// Windows counts three superscripts as digits.
fn one_digit(text: &str) -> bool {
    matches!(text, "\u{b9}" | "\u{b2}" | "\u{b3}")
        || text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The drive's name for a name that [`encode`] or [`encode_apart`] made without shortening it.
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
        let (plain, length) = code(rest).unwrap_or((Some(c), c.len_utf8()));
        out.extend(plain);
        rest = rest.get(length..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// The code that a text begins with: what it stands for, if anything, and its length in bytes.
fn code(rest: &str) -> Option<(Option<char>, usize)> {
    if let Some(tail) = rest.strip_prefix(MARK) {
        let digits =
            tail.bytes().take(FINGERPRINT).take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count();
        return Some((None, MARK.len() + if digits == FINGERPRINT { FINGERPRINT } else { 0 }));
    }
    let digits = rest.strip_prefix('%')?.get(..2)?;
    if digits.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        return None;
    }
    let plain = char::from(u8::from_str_radix(digits, 16).ok()?);
    let known = match plain {
        '%' | '.' => true,
        ' ' => rest.get(3..).is_some_and(|tail| tail.is_empty() || tail.starts_with(MARK)),
        c => is_refused(c),
    };
    known.then_some((Some(plain), 3))
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
        for name in [
            "a.txt",
            "100%",
            "a%20b",
            "#1",
            "e\u{301}te\u{301}",
            "😀",
            ".hidden",
            "...a",
            "cone",
            "%2e",
            "com",
            "com10",
            "~$a.docx",
            " a",
            "%",
            "%4",
            "a.con",
        ] {
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
        assert_eq!(encode(".\u{17f}luice", "id"), "%2E\u{17f}luice");
    }

    #[test]
    fn names_that_windows_refuses_are_encoded() {
        for (name, local) in [
            ("a:b?.txt", "a%3Ab%3F.txt"),
            ("\"*<>|\\\u{1}", "%22%2A%3C%3E%7C%5C%01"),
            ("a.", "a%2E"),
            ("...", "..%2E"),
            ("a. ", "a.%20"),
            ("a%20", "a%2520"),
            ("con", "con%~"),
            ("NUL.tar.gz", "NUL%~.tar.gz"),
            ("aux .txt", "aux%~ .txt"),
            ("Com1", "Com1%~"),
            ("lpt\u{b2}", "lpt\u{b2}%~"),
            ("SLUICE~1", "SLUICE~1%~"),
            ("a%~b", "a%25~b"),
        ] {
            assert_eq!(encode(name, "id"), local);
            assert_eq!(decode(local), name);
        }
    }

    #[test]
    fn a_name_that_is_kept_apart_is_another_one_for_every_file_system_and_can_be_read_back() {
        let apart = encode_apart("R\u{e9}sum\u{e9}.docx", "1");
        assert!(
            apart.starts_with("R\u{e9}sum\u{e9}%~") && apart.rsplit_once('.').unwrap().1 == "docx",
            "{apart}"
        );
        assert_eq!(decode(&apart), "R\u{e9}sum\u{e9}.docx");
        assert_ne!(folded(&apart), folded(&encode_apart("R\u{e9}sum\u{e9}.docx", "2")));
        let long = encode_apart(&format!("{}.docx", "a".repeat(250)), "1");
        assert!(long.len() <= MAX_NAME_BYTES && long.rsplit_once('.').unwrap().1 == "docx");
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
        fn every_encoded_name_is_one_safe_segment(name in "\\PC{0,300}|[./%0-9A-F\\x00]{0,40}|[ .conCON1~%*:?]{0,9}") {
            for local in [encode(&name, "id"), encode_apart(&name, "id")] {
                prop_assert!(!local.is_empty() && local.len() <= MAX_NAME_BYTES);
                prop_assert!(!local.contains(is_refused), "{}", local);
                prop_assert!(!local.ends_with(['.', ' ']) && device(&local).is_none(), "{}", local);
                prop_assert_ne!(folded(&local), OWN_FOLDER);
            }
        }

        #[test]
        fn decoding_gives_the_name_back(name in "[./%025EF\\x00a]{1,60}|[ .conCON1~%:a-f0-9]{1,30}") {
            prop_assume!(name != "\0");
            for local in [encode(&name, "id"), encode_apart(&name, "id")] {
                let back = decode(&local);
                prop_assert_eq!(back.as_ref(), name.as_str());
            }
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
