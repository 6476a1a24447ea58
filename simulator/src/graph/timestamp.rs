//! Times as clients write them, and as each kind of drive tells them (graph-behaviour §1.3, §12).

use crate::clock::iso;
use crate::drive::spec::DriveKind;

/// Writes a time: personal drives tell milliseconds, the others whole seconds.
pub(super) fn write(kind: DriveKind, at_ms: u64) -> String {
    let text = iso(at_ms / 1_000);
    match kind {
        DriveKind::Personal => format!("{}.{:03}Z", text.trim_end_matches('Z'), at_ms % 1_000),
        DriveKind::Business | DriveKind::DocumentLibrary => text,
    }
}

/// Reads a time (RFC 3339, years from 1970), in milliseconds since the Unix epoch.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-').map(str::parse::<i64>);
    let mut number = || parts.next()?.ok();
    let (year, month, day) = (number()?, number()?, number()?);
    let zone = time.rfind(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let mut number = || parts.next()?.ok();
    let (hour, minute, second) = (number()?, number()?, number()?);
    let sane = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let ms: String = fraction.chars().chain("000".chars()).take(3).collect();
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    u64::try_from(seconds)
        .ok()
        .filter(|_| sane)
        .map(|seconds| seconds * 1_000 + ms.parse::<u64>().unwrap_or_default())
}

/// Seconds by which a zone is ahead.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, zone) = (if zone.starts_with('-') { -1 } else { 1 }, zone.trim_start_matches(['+', '-']));
    let (hours, minutes) = zone.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days since 1970-01-01, counted from 1 March of year 0, so that the leap day is the last of its year.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (text, at_ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T12:34:56Z", 1_709_210_096_000),
            ("2024-02-29T12:34:56.7Z", 1_709_210_096_700),
            ("2024-02-29T13:34:56+01:00", 1_709_210_096_000),
            ("2024-02-29T11:34:56.1234567-01:00", 1_709_210_096_123),
        ] {
            assert_eq!(parse(text), Some(at_ms), "{text}");
        }
        assert_eq!(write(DriveKind::Personal, 1_709_210_096_007), "2024-02-29T12:34:56.007Z");
        assert_eq!(write(DriveKind::Business, 1_709_210_096_700), "2024-02-29T12:34:56Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "latest",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
