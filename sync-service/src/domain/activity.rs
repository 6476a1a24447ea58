//! What the worker of a run is at, for people who watch. Nothing is decided by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Entries of each list that are kept.
pub const MAX_ENTRIES: usize = 10;

/// Longest path that is kept, in characters.
const MAX_PATH: usize = 500;

/// What a worker is at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    /// Files being transferred or verified, those under way for longest first.
    pub current: Vec<CurrentFile>,
    /// Files whose transfer took longest, the slowest first.
    pub slowest: Vec<SlowItem>,
    /// How long the provider asked to wait.
    pub throttled_for: Option<Duration>,
    /// Requests that may be under way at once.
    pub requests_limit: u32,
    /// How far the verification is.
    pub verification: Option<Verification>,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Files that are verified.
    pub files_done: i64,
    /// Bytes of those, and what was read of files that are under way.
    pub bytes_done: i64,
    /// Files that the destination should have.
    pub files: i64,
    /// Bytes of those.
    pub bytes: i64,
}

/// A file being transferred or verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentFile {
    /// Path at the destination.
    pub path: String,
    /// Listed size in bytes.
    pub size: i64,
    /// Bytes that came by now, or were read.
    pub received: i64,
}

/// A file whose transfer took long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowItem {
    /// Path at the destination.
    pub path: String,
    /// Bytes that came.
    pub received: i64,
    /// How long it took.
    pub duration: Duration,
}

impl Activity {
    /// What is stored after a report: the slowest of both, how far a verification came, and otherwise what is reported now.
    #[must_use]
    pub fn after(&self, reported: Self) -> Self {
        let mut slowest = reported.slowest;
        slowest.extend(self.slowest.iter().cloned());
        for item in &mut slowest {
            item.path = item.path.chars().take(MAX_PATH).collect();
        }
        let mut current = reported.current;
        current.truncate(MAX_ENTRIES);
        for file in &mut current {
            file.path = file.path.chars().take(MAX_PATH).collect();
        }
        let verification = reported.verification.or(self.verification);
        Self { current, slowest: slowest_of(slowest), verification, ..reported }
    }

    /// What is left of it when the run has ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { slowest: self.slowest, verification: self.verification, ..Self::default() }
    }
}

/// The slowest of them, each path once.
pub fn slowest_of(mut items: Vec<SlowItem>) -> Vec<SlowItem> {
    items.sort_by(|one, other| other.duration.cmp(&one.duration).then_with(|| one.path.cmp(&other.path)));
    let mut slowest: Vec<SlowItem> = Vec::with_capacity(MAX_ENTRIES);
    for item in items {
        if slowest.len() < MAX_ENTRIES && slowest.iter().all(|known| known.path != item.path) {
            slowest.push(item);
        }
    }
    slowest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(path: &str, seconds: u64) -> SlowItem {
        SlowItem { path: path.into(), received: 1, duration: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_slowest_of_all_reports_stay_and_the_rest_is_the_last_report() {
        let first =
            Activity { slowest: vec![slow("a", 5), slow("b", 3)], requests_limit: 4, ..Default::default() };
        let second =
            Activity { slowest: vec![slow("c", 4), slow("a", 2)], requests_limit: 9, ..Default::default() };
        let after = first.after(second);
        assert_eq!(after.slowest, [slow("a", 5), slow("c", 4), slow("b", 3)]);
        assert_eq!(after.requests_limit, 9);
        assert_eq!(after.ended().requests_limit, 0);
    }

    #[test]
    fn lists_and_paths_are_bounded() {
        let many = (0..50).map(|number| slow(&number.to_string(), number)).collect();
        assert_eq!(slowest_of(many).len(), MAX_ENTRIES);
        let current = vec![CurrentFile { path: "x".repeat(9000), ..Default::default() }; 50];
        let after = Activity::default().after(Activity { current, ..Default::default() });
        assert_eq!((after.current.len(), after.current[0].path.len()), (MAX_ENTRIES, MAX_PATH));
    }
}
