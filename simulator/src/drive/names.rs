//! Names: which ones a drive accepts, when two are the same, and the ones a new drive is filled with.

use std::hash::{DefaultHasher, Hasher as _};

use super::spec::NameStyle;

/// Longest name, in UTF-16 units (graph-behaviour §1.5).
const MAX_NAME_UNITS: usize = 255;
/// Characters a name may not contain.
const FORBIDDEN: [char; 9] = ['"', '*', ':', '<', '>', '?', '/', '\\', '|'];
/// Length of the longest generated names, in characters.
const LONG_NAME_CHARS: usize = 200;
/// Number of patterns of varied file names; a drive with that many files has every one.
const FILE_PATTERNS: u32 = 16;
/// Number of patterns of varied folder names.
const FOLDER_PATTERNS: u32 = 10;

/// Whether the service accepts a name.
pub(crate) fn is_valid(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.encode_utf16().count() <= MAX_NAME_UNITS
        && !name.contains(FORBIDDEN)
        && !name.contains(char::is_control)
        && !name.starts_with(' ')
        && !name.ends_with([' ', '.'])
}

/// Whether the service keeps a name for itself (graph-behaviour §1.5).
pub(crate) fn is_reserved(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    let numbered = |device: &str| {
        stem.strip_prefix(device)
            .is_some_and(|digit| digit.len() == 1 && digit.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(lower.as_str(), ".lock" | "desktop.ini")
        || matches!(stem, "con" | "prn" | "aux" | "nul")
        || numbered("com")
        || numbered("lpt")
        || lower.starts_with("~$")
        || lower.contains("_vti_")
}

/// Whether two names are the same to the service, which keeps case but does not look at it. There is no Unicode normalisation.
pub(crate) fn same(left: &str, right: &str) -> bool {
    folded(left).eq(folded(right))
}

/// A number that is equal for names that are the same.
pub(crate) fn fingerprint(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    folded(name).for_each(|letter| hasher.write_u32(u32::from(letter)));
    hasher.finish()
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase)
}

/// The name of the n-th file of a new drive.
pub(crate) fn file(style: NameStyle, number: u32) -> String {
    match style {
        NameStyle::Plain => format!("file-{number:06}.{}", extension(number)),
        NameStyle::Varied => varied_file(number),
    }
}

/// Whether the n-th file goes where the one before went: its name differs from that one's in Unicode form only.
pub(crate) const fn is_twin(style: NameStyle, number: u32) -> bool {
    matches!(style, NameStyle::Varied) && number % FILE_PATTERNS == 3
}

/// The name of the n-th folder of a new drive.
pub(crate) fn folder(style: NameStyle, number: u32) -> String {
    match style {
        NameStyle::Plain => format!("folder-{number:05}"),
        NameStyle::Varied => varied_folder(number),
    }
}

fn varied_file(number: u32) -> String {
    let twin = number.saturating_sub(1);
    match number % FILE_PATTERNS {
        0 => format!("Quarterly report {number}.docx"),
        1 => format!("🎉 party {number} 🦀👩‍👩‍👧.txt"),
        2 => format!("re\u{301}sume\u{301} {number}.pdf"),
        3 => format!("r\u{e9}sum\u{e9} {twin}.pdf"),
        4 => format!("issue #{number} 100% done.md"),
        5 => format!("literal%20space%2Fslash {number}.txt"),
        6 => format!(".hidden-{number}"),
        7 => long(number),
        8 => format!("日本語のファイル {number}.txt"),
        9 => format!("Отчёт за год {number}.xlsx"),
        10 => format!("ملف {number}.txt"),
        11 => format!("it's (a copy) & more; {number}.txt"),
        12 => format!("UPPER and lower {number}.TXT"),
        13 => format!("no extension {number}"),
        14 => format!("two  spaces,comma={number}+plus.csv"),
        _ => format!("...dots...{number}.tar.gz"),
    }
}

fn varied_folder(number: u32) -> String {
    match number % FOLDER_PATTERNS {
        0 => format!("Projects {number}"),
        1 => format!("📁 {number}"),
        2 => format!("e\u{301}te\u{301} {number}"),
        3 => format!("#{number} 50%"),
        4 => format!(".config-{number}"),
        5 => format!("Проекты {number}"),
        6 => format!("資料 {number}"),
        7 => format!("a folder with a rather long name {number}"),
        8 => format!("%41{number}"),
        _ => format!("folder.{number}.d"),
    }
}

fn long(number: u32) -> String {
    let mut name = format!("a very long name {number} ");
    let fill = LONG_NAME_CHARS.saturating_sub(name.len() + 4);
    name.extend(('a'..='z').cycle().take(fill));
    name.push_str(".txt");
    name
}

fn extension(number: u32) -> &'static str {
    match number % 6 {
        0 => "txt",
        1 => "pdf",
        2 => "docx",
        3 => "xlsx",
        4 => "jpg",
        _ => "bin",
    }
}

/// The media type the service tells for a name.
pub(crate) fn mime_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("pdf") => "application/pdf",
        Some("jpg") => "image/jpeg",
        Some("mp4") => "video/mp4",
        Some("gz") => "application/gzip",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_valid_and_different() {
        for style in [NameStyle::Plain, NameStyle::Varied] {
            let names: Vec<String> = (0..500).map(|number| file(style, number)).collect();
            assert!(names.iter().all(|name| is_valid(name)));
            let keys: std::collections::BTreeSet<u64> = names.iter().map(|name| fingerprint(name)).collect();
            assert_eq!(keys.len(), names.len());
            assert!((0..100).all(|number| is_valid(&folder(style, number))));
        }
        assert_eq!(file(NameStyle::Varied, 7).chars().count(), LONG_NAME_CHARS);
    }

    /// graph-behaviour §1.5 and §1.3: case does not count, Unicode form does.
    #[test]
    fn case_is_folded_and_unicode_form_is_not() {
        assert!(same("Straße É.TXT", "straße é.txt"));
        assert!(!same("\u{e9}", "e\u{301}"));
        assert_eq!(fingerprint("A"), fingerprint("a"));
    }

    #[test]
    fn names_the_service_keeps_for_itself() {
        for name in [".lock", "Desktop.ini", "CON", "con.txt", "lpt1.log", "~$a.docx", "x_vti_y"] {
            assert!(is_reserved(name), "{name:?}");
        }
        for name in ["console.txt", "com.txt", "com10", "lock", "~a"] {
            assert!(!is_reserved(name), "{name:?}");
        }
    }

    #[test]
    fn names_the_service_refuses() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "a:b", " a", "a ", "a.", "a\u{0}", long.as_str()] {
            assert!(!is_valid(name), "{name:?}");
        }
    }
}
