//! Reads a limit on bytes per second as people write it.

/// The text is no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must look like 500KiB/s, 10MiB/s, 1GiB/s, 80MB/s or 1000000, and be more than nothing")]
pub struct BandwidthError;

/// Units, the longer names first.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Reads bytes per second: a whole number, a unit if it is not bytes, and `/s` if one likes.
///
/// # Errors
/// When it is none, or nothing.
pub fn bandwidth(text: &str) -> Result<u64, BandwidthError> {
    let text = text.trim();
    let text = text.strip_suffix("/s").unwrap_or(text);
    let known = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (number, size) = known.unwrap_or((text, 1));
    let number: u64 = number.trim().parse().or(Err(BandwidthError))?;
    number.checked_mul(size).filter(|limit| *limit > 0).ok_or(BandwidthError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_people_write_them() {
        for (text, limit) in [
            ("10MiB/s", 10 << 20),
            ("500 KiB/s", 500 << 10),
            ("80MB", 80_000_000),
            ("1GiB/s", 1 << 30),
            ("1000B/s", 1000),
            ("1000", 1000),
        ] {
            assert_eq!(bandwidth(text), Ok(limit), "{text}");
        }
        for text in ["", "0", "0MiB/s", "-1", "1.5MiB/s", "10 Mbit/s", "fast", "99999999999GiB/s"] {
            assert_eq!(bandwidth(text), Err(BandwidthError), "{text}");
        }
    }
}
