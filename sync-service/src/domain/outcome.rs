//! What a reported outcome changes: only *applied*, and the counts of the run.

use service_kit::clock::Timestamp;

use super::{
    action::ActionToken,
    baseline::Baseline,
    item::{Applied, Item, Kind},
};

/// What a run has done, to be added to its counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Folders made.
    pub folders_made: i64,
    /// Items renamed or moved.
    pub items_moved: i64,
    /// Files transferred.
    pub files_transferred: i64,
    /// Bytes of those.
    pub bytes_transferred: i64,
    /// Items deleted.
    pub items_deleted: i64,
}

/// Stores a done action in the item. Gives what to count: nothing where the item already was like this, so that a report that
/// comes twice counts once. `file` is what the destination has of it now, after a change of content or time.
pub fn apply(item: &mut Item, token: &ActionToken, bytes: i64, file: Option<&Baseline>) -> Done {
    let before = item.applied.clone();
    item.applied = applied_after(before.as_ref(), token, file);
    if item.applied == before {
        return Done::default();
    }
    match token {
        ActionToken::Folder { .. } => Done { folders_made: 1, ..Done::default() },
        ActionToken::Moved { .. } => Done { items_moved: 1, ..Done::default() },
        ActionToken::Content { .. } => {
            Done { files_transferred: 1, bytes_transferred: bytes, ..Done::default() }
        }
        ActionToken::Times { .. } => Done::default(),
        ActionToken::Deleted => Done { items_deleted: 1, ..Done::default() },
    }
}

fn applied_after(before: Option<&Applied>, token: &ActionToken, file: Option<&Baseline>) -> Option<Applied> {
    match token {
        ActionToken::Folder { parent, name } => Some(Applied {
            parent_id: parent.clone(),
            name: name.clone(),
            kind: Kind::Folder,
            version: String::new(),
            modified: None,
            file: Baseline::default(),
        }),
        ActionToken::Moved { parent, name } => {
            before.map(|before| Applied { parent_id: parent.clone(), name: name.clone(), ..before.clone() })
        }
        ActionToken::Content { parent, name, version, modified, replaces: _ } => Some(Applied {
            parent_id: parent.clone(),
            name: name.clone(),
            kind: Kind::File,
            version: version.clone(),
            modified: modified.map(Timestamp::from_millis),
            file: file.cloned().unwrap_or_else(|| known_by_time(modified.map(Timestamp::from_millis))),
        }),
        ActionToken::Times { modified } => before.map(|before| {
            let modified = Timestamp::from_millis(*modified);
            let kept = file.and_then(|file| file.modified).unwrap_or(modified);
            let file = Baseline { modified: Some(kept), ..before.file.clone() };
            Applied { modified: Some(modified), file, ..before.clone() }
        }),
        ActionToken::Deleted => None,
    }
}

/// A file of which a worker said nothing but that it is there.
fn known_by_time(modified: Option<Timestamp>) -> Baseline {
    Baseline { modified, ..Baseline::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> ActionToken {
        ActionToken::Content {
            parent: "p".into(),
            name: "a".into(),
            version: "v".into(),
            modified: Some(7),
            replaces: None,
        }
    }

    #[test]
    fn an_outcome_reported_twice_counts_once() {
        let mut item = Item { id: "1".into(), desired: None, applied: None };
        assert_eq!(apply(&mut item, &content(), 9, None).bytes_transferred, 9);
        assert_eq!(apply(&mut item, &content(), 9, None), Done::default());
    }

    #[test]
    fn a_move_keeps_the_content_version() {
        let mut item = Item { id: "1".into(), desired: None, applied: None };
        apply(&mut item, &content(), 9, None);
        let moved = ActionToken::Moved { parent: "q".into(), name: "b".into() };
        assert_eq!(apply(&mut item, &moved, 0, None).items_moved, 1);
        let applied = item.applied.unwrap();
        assert_eq!(
            (applied.parent_id.as_str(), applied.name.as_str(), applied.version.as_str()),
            ("q", "b", "v")
        );
    }

    #[test]
    fn the_file_is_known_as_the_destination_keeps_it() {
        let mut item = Item { id: "1".into(), desired: None, applied: None };
        let time = |millis| Some(Timestamp::from_millis(millis));
        let file = Baseline { size: Some(9), modified: time(8), hash: Some("h".into()) };
        apply(&mut item, &content(), 9, Some(&file));
        assert_eq!(item.applied.clone().unwrap().file, file);
        let told = Baseline { modified: time(20), ..Baseline::default() };
        apply(&mut item, &ActionToken::Times { modified: 21 }, 0, Some(&told));
        assert_eq!(item.applied.unwrap().file, Baseline { modified: time(20), ..file });
    }

    #[test]
    fn a_move_of_what_is_not_there_changes_nothing() {
        let mut item = Item { id: "1".into(), desired: None, applied: None };
        let moved = ActionToken::Moved { parent: "q".into(), name: "b".into() };
        assert_eq!(apply(&mut item, &moved, 0, None), Done::default());
        assert_eq!(item.applied, None);
    }
}
