//! Members that may be missing, null or nonsense.

use std::time::UNIX_EPOCH;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a member as `T`, or as `None` when it is anything else.
pub(super) fn maybe<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    // Valid JSON that is not a `T` is the case this exists for.
    Ok(T::deserialize(Value::deserialize(deserializer)?).ok())
}

/// A text that is not empty.
pub(super) fn text(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

/// RFC 3339 to milliseconds since the Unix epoch. Times before 1970 (`0001-01-01T00:00:00Z` stands for "unknown") are `None`.
pub(super) fn unix_ms(value: Option<&str>) -> Option<i64> {
    let time = humantime::parse_rfc3339(value?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_or_nothing() {
        for (text, expected) in [
            (Some("1970-01-01T00:00:01Z"), Some(1_000)),
            (Some("2026-02-03T04:05:06.789Z"), Some(1_770_091_506_789)),
            (Some("2026-02-03T04:05:06.7891234Z"), Some(1_770_091_506_789)),
            (Some("0001-01-01T00:00:00Z"), None),
            (Some(""), None),
            (Some("yesterday"), None),
            (Some("2026-02-30T00:00:00Z"), None),
            (Some("2026-02-03Té4:05:06Z"), None),
            (None, None),
        ] {
            assert_eq!(unix_ms(text), expected, "{text:?}");
        }
    }
}
