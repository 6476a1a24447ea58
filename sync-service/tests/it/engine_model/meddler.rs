//! Somebody who changes the mirror itself, at any time, and must not lose anything that they put there.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::drive::{Tree, name_of, pick};

/// What somebody does in the mirror. Numbers pick among what there is.
#[derive(Clone, Debug)]
pub(super) enum Meddling {
    /// Writes into a file.
    Edit(u16),
    /// Writes a new file where nothing is.
    Plant { folder: u16, name: u8 },
    /// Removes a file, or a folder with all that is in it.
    Remove(u16),
    /// Puts a folder with a file in it where something was.
    IntoFolder(u16),
    /// Puts a file where something was.
    IntoFile(u16),
    /// Puts a symbolic link that leads outside where something was.
    IntoLink(u16),
    /// Moves something to where nothing is.
    Carry { item: u16, folder: u16, name: u8 },
}

pub(super) fn meddling() -> impl Strategy<Value = Meddling> {
    let any = any::<u16>();
    prop_oneof![
        3 => any.prop_map(Meddling::Edit),
        3 => (any, 0_u8..6).prop_map(|(folder, name)| Meddling::Plant { folder, name }),
        3 => any.prop_map(Meddling::Remove),
        1 => any.prop_map(Meddling::IntoFolder),
        1 => any.prop_map(Meddling::IntoFile),
        1 => any.prop_map(Meddling::IntoLink),
        1 => (any, any, 0_u8..6).prop_map(|(item, folder, name)| Meddling::Carry { item, folder, name }),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File(String),
    Link(PathBuf),
}

impl Entry {
    fn is_mine(&self) -> bool {
        match self {
            Self::Folder => false,
            Self::File(text) => text.starts_with("mine-"),
            Self::Link(_) => true,
        }
    }
}

pub(super) struct Meddler {
    root: PathBuf,
    outside: PathBuf,
    /// Whatever they wrote, and where their links lead: all of it must be there for ever, once.
    put: BTreeSet<String>,
    /// Whether something of the drive's lies where they carried it.
    carried: bool,
    /// What they do while a run is under way: each after so many more actions.
    pending: VecDeque<(u8, Meddling)>,
}

impl Meddler {
    pub(super) fn new(root: PathBuf, outside: PathBuf) -> Self {
        fs::create_dir(&outside).unwrap();
        Self { root, outside, put: BTreeSet::new(), carried: false, pending: VecDeque::new() }
    }

    /// Later, while the worker is at it.
    pub(super) fn plan(&mut self, meddling: impl IntoIterator<Item = (u8, Meddling)>) {
        self.pending.extend(meddling);
    }

    /// Does nothing more.
    pub(super) fn stop(&mut self) {
        self.pending.clear();
    }

    /// The worker is about to do something.
    pub(super) fn interrupt(&mut self) {
        while let Some((wait, _)) = self.pending.front_mut() {
            if *wait > 0 {
                *wait -= 1;
                return;
            }
            let (_, meddling) = self.pending.pop_front().unwrap();
            self.meddle(&meddling);
        }
    }

    pub(super) fn meddle(&mut self, meddling: &Meddling) {
        if !self.root.join(".sluice/source.json").exists() {
            return;
        }
        let there = look(&self.root);
        match meddling {
            Meddling::Edit(file) => {
                let drives = |path: &String| matches!(there[path], Entry::File(_)) && !there[path].is_mine();
                if let Some(path) = pick_from(&there, drives, *file) {
                    let text = self.next();
                    fs::write(self.root.join(path), text).unwrap();
                }
            }
            Meddling::Plant { folder, name } => {
                if let Some(path) = self.free_place(&there, *folder, *name) {
                    let text = self.next();
                    fs::write(path, text).unwrap();
                }
            }
            Meddling::Remove(item) => {
                self.make_way(&there, *item);
            }
            Meddling::IntoFolder(item) => {
                if let Some(path) = self.make_way(&there, *item) {
                    let text = self.next();
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("a"), text).unwrap();
                }
            }
            Meddling::IntoFile(item) => {
                if let Some(path) = self.make_way(&there, *item) {
                    let text = self.next();
                    fs::write(path, text).unwrap();
                }
            }
            Meddling::IntoLink(item) => {
                if let Some(path) = self.make_way(&there, *item) {
                    let target = self.outside.join(self.put.len().to_string());
                    // What the drive has below the place may well be there, too.
                    fs::create_dir(&target).unwrap();
                    fs::write(target.join("a"), "outside").unwrap();
                    symlink(&target, path).unwrap();
                    self.put.insert(target.to_str().unwrap().to_owned());
                }
            }
            Meddling::Carry { item, folder, name } => {
                let item = pick_from(&there, |_| true, *item);
                if let (Some(item), Some(to)) = (item, self.free_place(&there, *folder, *name)) {
                    let from = self.root.join(item);
                    if !to.starts_with(&from) {
                        fs::rename(from, to).unwrap();
                        self.carried = true;
                    }
                }
            }
        }
    }

    /// A text that nobody has written yet.
    fn next(&mut self) -> String {
        let text = format!("mine-{}", self.put.len());
        self.put.insert(text.clone());
        text
    }

    fn free_place(&self, there: &BTreeMap<String, Entry>, folder: u16, name: u8) -> Option<PathBuf> {
        let folders =
            there.iter().filter(|(_, entry)| **entry == Entry::Folder).map(|(path, _)| path.clone());
        let folders: Vec<String> = [String::new()].into_iter().chain(folders).collect();
        let path = self.root.join(pick(&folders, folder)?).join(name_of(name));
        fs::symlink_metadata(&path).is_err().then_some(path)
    }

    /// Removes something that holds nothing of their own.
    fn make_way(&self, there: &BTreeMap<String, Entry>, item: u16) -> Option<PathBuf> {
        let path = pick_from(there, |path| !there[path].is_mine() && !holds_mine(there, path), item)?;
        let at = self.root.join(&path);
        if there[&path] == Entry::Folder { fs::remove_dir_all(&at) } else { fs::remove_file(&at) }.unwrap();
        Some(at)
    }

    /// Everything they put there is there, once and in sight; nothing outside was touched; and everything of the drive's is there,
    /// and nothing else.
    pub(super) fn check(&self, drive: &Tree) -> Result<(), TestCaseError> {
        let found = look(&self.root);
        let mut put: Vec<String> = found
            .values()
            .filter_map(|entry| match entry {
                Entry::Folder => None,
                Entry::File(text) => entry.is_mine().then(|| text.clone()),
                Entry::Link(target) => Some(target.to_str().unwrap().to_owned()),
            })
            .collect();
        put.sort();
        prop_assert_eq!(put, self.put.iter().cloned().collect::<Vec<_>>(), "{:?}", found);
        for (path, entry) in look(&self.outside) {
            let as_made = if path.contains('/') {
                path.ends_with("/a") && entry == Entry::File("outside".to_owned())
            } else {
                entry == Entry::Folder
            };
            prop_assert!(as_made, "{} is outside", path);
        }
        prop_assert_eq!(fs::read_dir(self.root.join(".sluice/staging")).unwrap().count(), 0);
        for (path, content) in drive {
            let wanted = content.clone().map_or(Entry::Folder, Entry::File);
            prop_assert_eq!(found.get(path), Some(&wanted), "{} in {:?}", path, found);
        }
        for (path, entry) in &found {
            let theirs = entry.is_mine() || holds_mine(&found, path);
            prop_assert!(self.carried || drive.contains_key(path) || theirs, "{} in {:?}", path, found);
        }
        Ok(())
    }
}

fn holds_mine(there: &BTreeMap<String, Entry>, path: &str) -> bool {
    let below = format!("{path}/");
    there.iter().any(|(other, entry)| other.starts_with(&below) && entry.is_mine())
}

fn pick_from(
    there: &BTreeMap<String, Entry>,
    wanted: impl Fn(&String) -> bool,
    number: u16,
) -> Option<String> {
    let paths: Vec<String> = there.keys().filter(|path| wanted(path)).cloned().collect();
    pick(&paths, number)
}

/// Everything below a folder but what Sluice itself keeps in it.
fn look(root: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let there = fs::symlink_metadata(&path).unwrap();
            if name == ".sluice" {
                continue;
            }
            let entry = if there.is_symlink() {
                Entry::Link(fs::read_link(&path).unwrap())
            } else if there.is_dir() {
                open.push(path);
                Entry::Folder
            } else {
                Entry::File(fs::read_to_string(&path).unwrap())
            };
            found.insert(name, entry);
        }
    }
    found
}
