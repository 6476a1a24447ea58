//! The time the simulator believes in, and how Entra, Graph and HTTP write it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// Names of the days, from the one the epoch began with.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// Names of the months.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The clock of a simulator. Copies share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since the epoch at which a stopped clock was stopped; none for one that runs.
    stopped_at: Option<u64>,
    /// Milliseconds by which the clock was moved ahead.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that runs with the machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at this time (since the Unix epoch) and moves only by [`Clock::advance`].
    #[must_use]
    pub fn stopped(since_epoch: Duration) -> Self {
        Self { stopped_at: Some(milliseconds(since_epoch)), ahead: Arc::default() }
    }

    /// Moves the clock ahead; links, codes and tokens age by as much.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(milliseconds(by), Ordering::SeqCst);
    }

    /// Milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub(crate) fn now_ms(&self) -> u64 {
        let base = self.stopped_at.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map(milliseconds).unwrap_or_default()
        });
        base.saturating_add(self.ahead.load(Ordering::SeqCst))
    }

    /// Whole seconds since the Unix epoch.
    pub(crate) fn now_seconds(&self) -> u64 {
        self.now_ms() / 1_000
    }

    /// Whole seconds since the Unix epoch in the compact form items keep (enough until 2106).
    pub(crate) fn stamp(&self) -> u32 {
        u32::try_from(self.now_seconds()).unwrap_or(u32::MAX)
    }
}

/// Whole milliseconds of a span.
pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-01-02T03:04:05Z`, as Graph writes times.
pub(crate) fn iso(seconds: u64) -> String {
    let at = Civil::of(seconds);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year, at.month, at.day, at.hour, at.minute, at.second)
}

/// `2026-01-02 03:04:05Z`, as Entra writes times.
pub(crate) fn spaced(seconds: u64) -> String {
    iso(seconds).replacen('T', " ", 1)
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`, as HTTP writes times (RFC 9110 §5.6.7).
pub(crate) fn http_date(seconds: u64) -> String {
    let at = Civil::of(seconds);
    let name = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let weekday = name(&DAYS, seconds / DAY_SECONDS % 7);
    let month = name(&MONTHS, at.month.saturating_sub(1));
    format!(
        "{weekday}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
        at.day, at.year, at.hour, at.minute, at.second
    )
}

/// A moment in the Gregorian calendar, UTC.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    /// Days are counted from 1 March of year 0, so that the leap day is the last of its year.
    fn of(seconds: u64) -> Self {
        let days = seconds / DAY_SECONDS + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let rest = seconds % DAY_SECONDS;
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_each_protocol_wants_them() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(spaced(1_735_689_599), "2024-12-31 23:59:59Z");
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_stopped_clock_moves_only_when_told() {
        let clock = Clock::stopped(Duration::from_secs(100));
        let copy = clock.clone();
        copy.advance(Duration::from_secs(5));
        assert_eq!(clock.now_seconds(), 105);
    }
}
