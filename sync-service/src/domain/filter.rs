//! Which items of a drive a source mirrors, by name, place and size. The index keeps every item, filtered or not: so a filter can change
//! and items can move in and out of its reach without listing the drive again.
//!
//! A pattern is matched against whole names, without regard to case, as drives compare them. `*` stands for any characters of one
//! name, `?` for one, `**` for any number of folders. A pattern without `/` matches a name at any depth; one with a `/` begins at the
//! root. What lies in a folder that matches, matches.

use serde::{Deserialize, Serialize};

/// Most patterns of each kind.
pub const MAX_PATTERNS: usize = 100;
/// Longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;
/// Most `/` in a pattern, and most `**`.
pub const MAX_PATTERN_SEGMENTS: usize = 64;

/// What a source mirrors; the empty one mirrors everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only files that match one of these, or lie in a folder that does; none stands for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Pattern>,
    /// Nothing that matches one of these, or lies in a folder that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Pattern>,
    /// No file whose listed size is larger, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_bytes: Option<i64>,
}

/// A pattern, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    /// Lower case; `**` stands for any number of names.
    segments: Vec<String>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty, or a name in it is.
    #[error("holds an empty name")]
    Empty,
    /// It is too long.
    #[error("is longer than {MAX_PATTERN_BYTES} bytes or {MAX_PATTERN_SEGMENTS} names")]
    TooLong,
    /// `.` and `..` are no names.
    #[error("must not hold . or ..")]
    Dots,
}

impl Pattern {
    /// Reads a pattern. A `/` at its end is dropped.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES || text.split('/').count() > MAX_PATTERN_SEGMENTS {
            return Err(PatternError::TooLong);
        }
        let bare = text.strip_suffix('/').unwrap_or(text);
        let (anchored, bare) = bare.strip_prefix('/').map_or((bare.contains('/'), bare), |rest| (true, rest));
        let mut segments: Vec<String> = bare.split('/').map(str::to_lowercase).collect();
        if segments.iter().any(String::is_empty) {
            return Err(PatternError::Empty);
        }
        if segments.iter().any(|segment| segment == "." || segment == "..") {
            return Err(PatternError::Dots);
        }
        if !anchored {
            segments.insert(0, ANY_DEPTH.to_owned());
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How far the pattern agrees with a path of lower-case names: for each number of its segments, whether they match the whole path.
    fn reach(&self, path: &[String]) -> Vec<bool> {
        // `reached[n]`: the first n segments match the names so far.
        let mut reached = vec![false; self.segments.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        self.skip_any_depth(&mut reached);
        for name in path {
            let mut next = vec![false; reached.len()];
            for (index, segment) in self.segments.iter().enumerate() {
                if !reached.get(index).copied().unwrap_or_default() {
                    continue;
                }
                let at = if segment == ANY_DEPTH { index } else { index + 1 };
                if (segment == ANY_DEPTH || matches_name(segment, name))
                    && let Some(slot) = next.get_mut(at)
                {
                    *slot = true;
                }
            }
            reached = next;
            self.skip_any_depth(&mut reached);
        }
        reached
    }

    /// `**` may stand for no name at all.
    fn skip_any_depth(&self, reached: &mut [bool]) {
        for (index, segment) in self.segments.iter().enumerate() {
            if segment == ANY_DEPTH
                && reached.get(index).copied().unwrap_or_default()
                && let Some(slot) = reached.get_mut(index + 1)
            {
                *slot = true;
            }
        }
    }

    /// Whether the path, or a folder it leads through, matches.
    fn matches(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|length| {
            let part = path.get(..length).unwrap_or_default();
            self.reach(part).last().copied().unwrap_or_default()
        })
    }

    /// Whether something below the folder could match.
    fn may_match_below(&self, folder: &[String]) -> bool {
        let reached = self.reach(folder);
        reached.iter().take(self.segments.len()).any(|reached| *reached)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

/// Stands for any number of folders.
const ANY_DEPTH: &str = "**";

/// Whether a name matches a segment with `*` and `?`, both in lower case. Takes time in proportion to the product of their lengths at
/// most, whatever the pattern.
fn matches_name(segment: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (segment.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = name.get(in_name) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                in_name += 1;
            }
            Some(_) | None => {
                // The last star takes one letter more.
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                in_name = taken + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

impl Filter {
    /// Whether everything is mirrored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether names and places count: then a folder that is renamed can take what lies below it in or out.
    pub fn looks_at_paths(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Whether a file at this path of the drive, with this listed size, is mirrored.
    pub fn takes_file(&self, path: &[String], size: i64) -> bool {
        let path = lower(path);
        self.max_file_bytes.is_none_or(|most| size <= most)
            && !self.exclude.iter().any(|pattern| pattern.matches(&path))
            && (self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(&path)))
    }

    /// Whether a folder at this path of the drive is mirrored: it is not excluded, and something in it could be included.
    pub fn takes_folder(&self, path: &[String]) -> bool {
        let path = lower(path);
        let includes = |pattern: &Pattern| pattern.matches(&path) || pattern.may_match_below(&path);
        !self.exclude.iter().any(|pattern| pattern.matches(&path))
            && (self.include.is_empty() || self.include.iter().any(includes))
    }
}

fn lower(path: &[String]) -> Vec<String> {
    path.iter().map(|name| name.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Filter { include: patterns(include), exclude: patterns(exclude), max_file_bytes: None }
    }

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, matching, other) in [
            ("*.tmp", &["a.tmp", "x/y/B.TMP", "a.tmp/below"][..], &["a.tmpx", "tmp"][..]),
            ("Reports", &["Reports", "x/reports/a.txt"], &["Reports2", "x/Report"]),
            ("/Reports", &["Reports/a.txt"], &["x/Reports/a.txt"]),
            ("Reports/2026/", &["reports/2026/q1/a"], &["Reports/2025", "x/Reports/2026"]),
            (
                "Reports/**/draft?.docx",
                &["Reports/draft1.docx", "Reports/a/b/draftx.docx"],
                &["Reports/draft.docx"],
            ),
            ("**/node_modules", &["node_modules/x", "a/b/node_modules"], &["node_module"]),
            ("a*b*c", &["abc", "a-b-b-c", "aXbXc"], &["ab", "acb"]),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            for text in matching {
                assert!(pattern.matches(&lower(&path(text))), "{pattern:?} {text}");
            }
            for text in other {
                assert!(!pattern.matches(&lower(&path(text))), "{pattern:?} {text}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "/", "a//b", "../x", "a/./b", &"x".repeat(MAX_PATTERN_BYTES + 1), &"a/".repeat(100)]
        {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn folders_that_could_hold_something_included_are_mirrored() {
        let filter = filter(&["Reports/2026", "*.pdf"], &["Archive"]);
        assert!(filter.takes_folder(&path("Reports")) && filter.takes_folder(&path("anything")));
        assert!(!filter.takes_folder(&path("x/Archive")));
        assert!(filter.takes_file(&path("Reports/2026/a.txt"), 1) && filter.takes_file(&path("x/a.PDF"), 1));
        assert!(!filter.takes_file(&path("x/a.txt"), 1) && !filter.takes_file(&path("Archive/a.pdf"), 1));
        let anchored = self::filter(&["Reports/2026"], &[]);
        assert!(anchored.takes_folder(&path("Reports")) && !anchored.takes_folder(&path("Other")));
        assert!(!anchored.takes_folder(&path("Reports/2025")));
    }

    #[test]
    fn large_files_are_left_out_by_their_listed_size() {
        let filter = Filter { max_file_bytes: Some(10), ..Filter::default() };
        assert!(filter.takes_file(&path("a"), 10) && !filter.takes_file(&path("a"), 11));
        assert!(filter.takes_folder(&path("a")) && !filter.looks_at_paths());
    }

    fn name() -> impl Strategy<Value = String> {
        "[abA]{1,3}"
    }

    fn a_pattern() -> impl Strategy<Value = Pattern> {
        proptest::collection::vec(prop_oneof!["[ab*?]{1,3}", Just("**".to_owned())], 1..4)
            .prop_map(|segments| Pattern::parse(&segments.join("/")).unwrap())
    }

    fn a_filter() -> impl Strategy<Value = Filter> {
        let patterns = || proptest::collection::vec(a_pattern(), 0..3);
        (patterns(), patterns(), proptest::option::of(0_i64..5))
            .prop_map(|(include, exclude, max_file_bytes)| Filter { include, exclude, max_file_bytes })
    }

    proptest! {
        /// So every file that is mirrored has a place to lie in.
        #[test]
        fn the_folders_above_a_mirrored_file_are_mirrored(
            filter in a_filter(), names in proptest::collection::vec(name(), 1..5), size in 0_i64..5,
        ) {
            if filter.takes_file(&names, size) {
                for length in 1..names.len() {
                    prop_assert!(filter.takes_folder(&names[..length]), "{filter:?} {names:?}");
                }
            }
        }

        #[test]
        fn a_filter_survives_its_stored_form(filter in a_filter()) {
            let text = serde_json::to_string(&filter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        }

        #[test]
        fn case_never_counts(filter in a_filter(), names in proptest::collection::vec(name(), 1..4)) {
            let upper: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
            prop_assert_eq!(filter.takes_file(&names, 0), filter.takes_file(&upper, 0));
        }

        #[test]
        fn a_name_matches_itself_and_a_star(name in "[a-zé .]{1,20}") {
            prop_assert!(matches_name(&name, &name) && matches_name("*", &name));
        }
    }
}
