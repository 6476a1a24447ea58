//! What a verification finds that the index did not know, and what the index makes of it.

use super::{
    baseline::Baseline,
    item::{Item, Kind},
};

/// How an item differs from what the index says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is not there; of a folder, nothing that lay in it is. Something else may be in its place.
    Gone,
    /// The file there has other bytes.
    Changed,
}

/// Notes drift in an item. Gives whether everything in it is gone with it: then it is a folder, and stays as it is here.
///
/// A changed file counts as one of another version, and of no known time: what comes to its place compares its bytes, finds that they are
/// not those that were put there, and keeps it under another name.
pub fn note(item: &mut Item, drift: Drift) -> bool {
    let Some(applied) = &mut item.applied else { return false };
    match (drift, applied.kind) {
        (Drift::Gone, Kind::Folder) => return true,
        (Drift::Gone, Kind::File) => item.applied = None,
        (Drift::Changed, Kind::File) => {
            applied.version.clear();
            applied.file = Baseline { modified: None, ..applied.file.clone() };
        }
        (Drift::Gone | Drift::Changed, _) => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use service_kit::clock::Timestamp;

    use super::*;
    use crate::domain::{
        baseline::Look,
        item::{Applied, Desired, Scope, Work},
    };

    fn item(kind: Kind) -> Item {
        let modified = Some(Timestamp::from_millis(7));
        let file = Baseline { size: Some(3), modified, hash: Some("h".into()) };
        Item {
            id: "1".into(),
            desired: Some(Desired {
                parent_id: "p".into(),
                name: "a".into(),
                local_name: "a".into(),
                kind,
                scope: Scope::Mirrored,
                size: 3,
                version: "v".into(),
                hash: Some("h".into()),
                e_tag: String::new(),
                modified,
            }),
            applied: Some(Applied {
                parent_id: "p".into(),
                name: "a".into(),
                kind,
                version: "v".into(),
                modified,
                file,
            }),
        }
    }

    #[test]
    fn what_is_gone_is_put_there_again() {
        let mut file = item(Kind::File);
        assert_eq!(file.work(), Work::None);
        assert!(!note(&mut file, Drift::Gone));
        assert_eq!((file.applied.is_none(), file.work()), (true, Work::PutContent));
        assert!(!note(&mut file, Drift::Gone), "told twice");
        assert!(note(&mut item(Kind::Folder), Drift::Gone));
    }

    #[test]
    fn a_changed_file_is_fetched_again_and_known_by_its_bytes_only() {
        let mut file = item(Kind::File);
        assert!(!note(&mut file, Drift::Changed));
        assert_eq!(file.work(), Work::PutContent);
        let baseline = &file.applied.as_ref().unwrap().file;
        assert_eq!(baseline.look(3, Some(Timestamp::from_millis(7))), Look::CompareHash);
        let once = file.clone();
        note(&mut file, Drift::Changed);
        assert_eq!(file, once);
    }

    #[test]
    fn a_root_and_a_changed_folder_are_no_drift() {
        for (kind, drift) in
            [(Kind::Root, Drift::Gone), (Kind::Root, Drift::Changed), (Kind::Folder, Drift::Changed)]
        {
            let mut item = item(kind);
            let before = item.clone();
            assert!(!note(&mut item, drift));
            assert_eq!(item, before);
        }
    }
}
