//! Somebody who works in the mirror itself.

use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;

use super::{
    drive::{Tree, name_of, pick},
    mirror::Mirror,
};

/// What somebody does in the mirror. Numbers pick among what there is.
#[derive(Clone, Debug)]
pub(super) enum LocalChange {
    /// Writes into a file that is there.
    Edit(u16),
    /// Writes a new file where none is.
    Plant { folder: u16, name: u8 },
}

/// Whatever they wrote, which must be there for ever.
#[derive(Default)]
pub(super) struct Owner {
    written: BTreeSet<String>,
}

impl Owner {
    pub(super) fn apply(&mut self, mirror: &Mirror, change: &LocalChange) {
        let tree: Tree = mirror.tree().into_iter().filter(|(path, _)| !path.starts_with(".sluice")).collect();
        let path = match change {
            LocalChange::Edit(file) => {
                let drives = |content: &Option<String>| content.as_ref().is_some_and(|text| !is_mine(text));
                let files: Vec<String> = tree
                    .iter()
                    .filter(|(_, content)| drives(content))
                    .map(|(path, _)| path.clone())
                    .collect();
                pick(&files, *file)
            }
            LocalChange::Plant { folder, name } => {
                let folders =
                    tree.iter().filter(|(_, content)| content.is_none()).map(|(path, _)| path.clone());
                let folders: Vec<String> = [String::new()].into_iter().chain(folders).collect();
                let path = Path::new(&pick(&folders, *folder).unwrap_or_default()).join(name_of(*name));
                Some(path.to_str().unwrap().to_owned()).filter(|path| !tree.contains_key(path))
            }
        };
        if let Some(path) = path
            && mirror.root().exists()
            && mirror.is_marked()
        {
            let text = format!("mine-{}", self.written.len());
            std::fs::write(mirror.root().join(path), &text).unwrap();
            self.written.insert(text);
        }
    }

    /// Everything they wrote is there, once; and all else is the drive's.
    pub(super) fn check(&self, found: &Tree, drive: &Tree) -> Result<(), TestCaseError> {
        let mine: Vec<String> = found.values().flatten().filter(|text| is_mine(text)).cloned().collect();
        prop_assert_eq!(mine.len(), self.written.len(), "{:?}", found);
        prop_assert_eq!(&mine.into_iter().collect::<BTreeSet<_>>(), &self.written, "{:?}", found);
        prop_assert!(!found.keys().any(|path| path.starts_with(".sluice")), "{:?}", found);
        for (path, content) in found {
            let holds_mine = || {
                let below = format!("{path}/");
                found
                    .iter()
                    .any(|(other, text)| other.starts_with(&below) && text.as_deref().is_some_and(is_mine))
            };
            let drives = drive.get(path) == Some(content);
            let theirs = content.as_deref().map_or_else(holds_mine, is_mine);
            prop_assert!(drives || theirs, "{} in {:?}, not in {:?}", path, found, drive);
        }
        for path in drive.keys() {
            prop_assert!(found.contains_key(path), "{} is missing in {:?}", path, found);
        }
        Ok(())
    }
}

fn is_mine(text: &str) -> bool {
    text.starts_with("mine-")
}
