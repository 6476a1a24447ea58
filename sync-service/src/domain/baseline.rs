//! What a file at the destination was when Sluice put it there, and whether it still is.

use serde::{Deserialize, Serialize};
use service_kit::clock::Timestamp;

/// A file as it was put in place. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Bytes it has.
    pub size: Option<i64>,
    /// Its modification time as the destination keeps it.
    #[serde(with = "in_millis")]
    pub modified: Option<Timestamp>,
    /// `quickXorHash` of its bytes, in base64.
    pub hash: Option<String>,
}

/// What size and time of a file tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is as it was put there.
    Unchanged,
    /// Only its time differs: the hash tells whether somebody edited it or merely touched it.
    CompareHash,
    /// Somebody changed it, or it cannot be told that nobody did.
    Edited,
}

impl Baseline {
    /// Judges a file by what costs nothing to look at. An edit that keeps both size and time is seen by a verification only.
    pub fn look(&self, size: i64, modified: Option<Timestamp>) -> Look {
        if self.size.is_some_and(|known| known != size) {
            Look::Edited
        } else if self.modified.is_some() && self.modified == modified {
            Look::Unchanged
        } else if self.hash.is_some() {
            Look::CompareHash
        } else {
            Look::Edited
        }
    }
}

mod in_millis {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use service_kit::clock::Timestamp;

    #[expect(clippy::ref_option, reason = "serde hands in a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_millis).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: Option<Timestamp> = Some(Timestamp::from_millis(1));
    const NOW: Option<Timestamp> = Some(Timestamp::from_millis(2));

    fn baseline(size: Option<i64>, modified: Option<Timestamp>, hash: Option<&str>) -> Baseline {
        Baseline { size, modified, hash: hash.map(str::to_owned) }
    }

    #[test]
    fn size_and_time_decide_where_they_can() {
        let known = baseline(Some(3), THEN, Some("h"));
        assert_eq!(known.look(3, THEN), Look::Unchanged);
        assert_eq!(known.look(4, THEN), Look::Edited);
        assert_eq!(known.look(4, NOW), Look::Edited);
    }

    #[test]
    fn a_file_of_another_time_is_compared_by_hash() {
        assert_eq!(baseline(Some(3), THEN, Some("h")).look(3, NOW), Look::CompareHash);
        assert_eq!(baseline(None, None, Some("h")).look(3, NOW), Look::CompareHash);
    }

    #[test]
    fn what_cannot_be_told_counts_as_edited() {
        assert_eq!(Baseline::default().look(3, NOW), Look::Edited);
        assert_eq!(Baseline::default().look(3, None), Look::Edited);
        assert_eq!(baseline(Some(3), THEN, None).look(3, NOW), Look::Edited);
        assert_eq!(baseline(Some(3), None, None).look(3, None), Look::Edited);
    }

    #[test]
    fn what_an_earlier_version_applied_is_known_by_its_time() {
        assert_eq!(baseline(None, THEN, None).look(3, THEN), Look::Unchanged);
        assert_eq!(baseline(None, THEN, None).look(3, NOW), Look::Edited);
    }
}
