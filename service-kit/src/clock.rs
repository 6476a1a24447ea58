//! Wall-clock time: one type for an instant, one trait for whoever asks.
//!
//! Only [`SystemClock`] reads the machine's clock. Everything else takes a [`Clock`], so a test can say what time it is.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// First second of the year 1, the least that `google.protobuf.Timestamp` allows.
const PROTO_MIN_SECONDS: i64 = -62_135_596_800;
/// Last second of the year 9999, the most that `google.protobuf.Timestamp` allows.
const PROTO_MAX_SECONDS: i64 = 253_402_300_799;
/// `google.protobuf.Duration` allows about 10,000 years either way.
const PROTO_MAX_DURATION_SECONDS: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;
const NANOS_PER_MILLI: i32 = 1_000_000;

/// An instant, in whole milliseconds since the Unix epoch, as databases store it. `Display` is RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant `span` later, or the last one there is.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// The instant `span` earlier, or the first one there is.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// Time from `earlier` until this instant; zero if `earlier` is later.
    pub fn duration_since(self, earlier: Self) -> Duration {
        let millis = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }

    /// The instant as protobuf has it, moved to the nearer end where it lies outside the years 1 to 9999.
    pub fn to_proto(self) -> prost_types::Timestamp {
        let seconds = self.0.div_euclid(1000);
        let millis = i32::try_from(self.0.rem_euclid(1000)).unwrap_or(0);
        if seconds < PROTO_MIN_SECONDS {
            return prost_types::Timestamp { seconds: PROTO_MIN_SECONDS, nanos: 0 };
        }
        if seconds > PROTO_MAX_SECONDS {
            return prost_types::Timestamp { seconds: PROTO_MAX_SECONDS, nanos: 999_000_000 };
        }
        prost_types::Timestamp { seconds, nanos: millis * NANOS_PER_MILLI }
    }

    /// Reads protobuf's form, dropping what is finer than a millisecond; `None` where it breaks that form's own limits.
    pub fn from_proto(proto: &prost_types::Timestamp) -> Option<Self> {
        let in_range = (PROTO_MIN_SECONDS..=PROTO_MAX_SECONDS).contains(&proto.seconds)
            && (0..NANOS_PER_SECOND).contains(&proto.nanos);
        in_range.then(|| Self(proto.seconds * 1000 + i64::from(proto.nanos / NANOS_PER_MILLI)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = u64::try_from(self.0).ok().filter(|_| self.0 / 1000 <= PROTO_MAX_SECONDS);
        match printable {
            Some(millis) => {
                humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).fmt(f)
            }
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// The instant it is now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(millis_of(since)),
            Err(before) => Timestamp(-millis_of(before.duration())),
        }
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Makes the clock show `now`, also an earlier instant.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(span);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads protobuf's form of a span; `None` where it is negative or breaks that form's own limits.
pub fn duration_from_proto(proto: &prost_types::Duration) -> Option<Duration> {
    let in_range = (0..=PROTO_MAX_DURATION_SECONDS).contains(&proto.seconds)
        && (0..NANOS_PER_SECOND).contains(&proto.nanos);
    if !in_range {
        return None;
    }
    Some(Duration::new(u64::try_from(proto.seconds).ok()?, u32::try_from(proto.nanos).ok()?))
}

/// A span as protobuf has it, at most about 10,000 years.
pub fn duration_to_proto(span: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    if seconds >= PROTO_MAX_DURATION_SECONDS {
        return prost_types::Duration { seconds: PROTO_MAX_DURATION_SECONDS, nanos: 0 };
    }
    prost_types::Duration { seconds, nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0) }
}

fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn displays_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "-1 ms after 1970");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), format!("{} ms after 1970", i64::MAX));
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.saturating_add(Duration::from_secs(1)), last);
        let first = Timestamp::from_millis(i64::MIN);
        assert_eq!(first.saturating_sub(Duration::MAX), first);
        assert_eq!(first.duration_since(last), Duration::ZERO);
        assert_eq!(last.duration_since(first), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn proto_outside_its_limits_is_refused() {
        for (seconds, nanos) in
            [(0, -1), (0, 1_000_000_000), (PROTO_MIN_SECONDS - 1, 0), (PROTO_MAX_SECONDS + 1, 0)]
        {
            assert_eq!(Timestamp::from_proto(&prost_types::Timestamp { seconds, nanos }), None);
        }
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (PROTO_MAX_DURATION_SECONDS + 1, 0)] {
            assert_eq!(duration_from_proto(&prost_types::Duration { seconds, nanos }), None);
        }
    }

    #[test]
    fn far_instants_move_to_the_nearer_end() {
        assert_eq!(Timestamp::from_millis(i64::MIN).to_proto().seconds, PROTO_MIN_SECONDS);
        assert_eq!(Timestamp::from_millis(i64::MAX).to_proto().seconds, PROTO_MAX_SECONDS);
        assert_eq!(duration_to_proto(Duration::MAX).seconds, PROTO_MAX_DURATION_SECONDS);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_millis(5));
        assert_eq!(clock.now().as_millis(), 5);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now().as_millis(), 1005);
        clock.set(Timestamp::from_millis(1));
        assert_eq!(clock.now().as_millis(), 1);
    }

    proptest! {
        #[test]
        fn instants_survive_the_wire(millis in PROTO_MIN_SECONDS * 1000..=PROTO_MAX_SECONDS * 1000) {
            let instant = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::from_proto(&instant.to_proto()), Some(instant));
        }

        #[test]
        fn spans_survive_the_wire(seconds in 0..315_576_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let span = Duration::new(seconds, nanos);
            prop_assert_eq!(duration_from_proto(&duration_to_proto(span)), Some(span));
        }
    }
}
