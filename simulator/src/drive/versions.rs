//! Versions of files: every new content leaves the old one behind (graph-behaviour §3, §5.3).

use std::collections::HashMap;

use super::Drive;
use super::item::{Node, Slot};
use super::tree::Tree;
use crate::content::ContentReader;

/// Most old versions kept of one file; the oldest are forgotten first.
const MAX_OF_A_FILE: usize = 100;
/// Most old versions kept of a drive. Beyond it no more are kept.
const MAX_OF_A_DRIVE: usize = 100_000;

/// The old versions of a drive's files.
#[derive(Debug, Default)]
pub(super) struct Histories {
    by_slot: HashMap<Slot, Vec<Version>>,
    count: usize,
    /// How many versions of a file differ from the one before in nothing but times.
    times_only: HashMap<Slot, u32>,
}

/// A version of a file.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// Counts from 1.
    pub(crate) number: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Last modified, seconds since the Unix epoch.
    pub(crate) modified: u32,
    /// Which content it has.
    content_number: u32,
    /// A content that does not follow from the item.
    content: Option<ContentReader>,
}

impl Histories {
    fn push(&mut self, slot: Slot, version: Version) {
        if self.count >= MAX_OF_A_DRIVE {
            return;
        }
        let versions = self.by_slot.entry(slot).or_default();
        versions.push(version);
        self.count += 1;
        if versions.len() > MAX_OF_A_FILE {
            versions.remove(0);
            self.count -= 1;
        }
    }

    /// Forgets a file.
    pub(super) fn forget(&mut self, slot: Slot) {
        let gone = self.by_slot.remove(&slot);
        self.count -= gone.map_or(0, |versions| versions.len());
        self.times_only.remove(&slot);
    }
}

impl Tree {
    /// All versions of a file, the present one first; empty for anything else.
    pub(crate) fn versions(&self, slot: Slot) -> Vec<Version> {
        let old = self.histories.by_slot.get(&slot).into_iter().flatten();
        self.present(slot).into_iter().chain(old.rev().cloned()).collect()
    }

    /// Deletes an old version; false when there is none of that number, or it is the present one.
    pub(crate) fn delete_version(&mut self, slot: Slot, number: u32) -> bool {
        let Some(versions) = self.histories.by_slot.get_mut(&slot) else { return false };
        let before = versions.len();
        versions.retain(|version| version.number != number);
        let gone = before - versions.len();
        self.histories.count -= gone;
        gone > 0
    }

    /// Remembers the present content of a file as an old one.
    pub(super) fn archive(&mut self, slot: Slot) {
        if let Some(version) = self.present(slot) {
            self.histories.push(slot, version);
        }
    }

    /// Remembers the present state of a file as an old one, although the content stays.
    pub(crate) fn archive_times(&mut self, slot: Slot) {
        if let Some(version) = self.present(slot) {
            self.histories.push(slot, version);
            *self.histories.times_only.entry(slot).or_default() += 1;
        }
    }

    fn present(&self, slot: Slot) -> Option<Version> {
        let item = self.get(slot)?;
        let Node::File { content_version, .. } = item.node else { return None };
        let content = self.extras.get(&slot).and_then(|extra| extra.content.clone());
        let number = content_version + self.histories.times_only.get(&slot).copied().unwrap_or_default();
        Some(Version {
            number,
            size: item.size,
            modified: item.modified,
            content_number: content_version,
            content,
        })
    }
}

impl Drive {
    /// The content of a version of a file.
    pub(crate) fn version_content(&self, slot: Slot, number: u32) -> Option<ContentReader> {
        let versions = self.tree().versions(slot);
        let version = versions.into_iter().find(|version| version.number == number)?;
        let made = || {
            let content_number = u64::from(version.content_number);
            ContentReader::new(self.ids.key(), u64::from(slot), content_number, version.size)
        };
        Some(version.content.clone().unwrap_or_else(made))
    }
}
