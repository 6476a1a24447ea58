//! Whether the provider should be asked at all: an app that the provider refuses, or of which many connections fail at once, is
//! left alone but for a probe now and then. What looks like a thousand broken connections is nearly always one broken app, or a
//! provider that is down; no connection changes its state because of it.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use service_kit::clock::Timestamp;

use super::names::ConnectionName;

/// How long an outcome counts.
pub const WINDOW: Duration = Duration::from_mins(1);
/// Most outcomes that are remembered.
const MAX_SAMPLES: usize = 256;
/// How many connections must fail within the window before it is the app's failure.
pub const MANY: usize = 10;
/// Of so many outcomes, at most one may be a success.
const ONE_SUCCESS_PER: usize = 5;
/// Wait before the first probe; it doubles with each probe that fails.
pub const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest wait between probes.
pub const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Why an app is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trip {
    /// The provider refuses the app itself.
    Refused,
    /// Many of its connections fail at once.
    ManyFailures,
}

/// What stands against asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Why.
    pub trip: Trip,
    /// The provider's error code and number.
    pub cause: String,
    /// How long until the next probe.
    pub wait: Duration,
}

#[derive(Debug)]
struct Open {
    trip: Trip,
    cause: String,
    wait: Duration,
    probe_time: Timestamp,
    is_probing: bool,
}

#[derive(Debug)]
struct Sample {
    time: Timestamp,
    connection: ConnectionName,
    is_failure: bool,
}

/// The breaker of one app.
#[derive(Debug, Default)]
pub struct AppBreaker {
    open: Option<Open>,
    samples: VecDeque<Sample>,
    was_asked: bool,
}

impl AppBreaker {
    /// Why the app is left alone at present.
    pub fn trip(&self) -> Option<Trip> {
        self.open.as_ref().map(|open| open.trip)
    }

    /// Whether the provider ever answered.
    pub fn was_asked(&self) -> bool {
        self.was_asked
    }

    /// Lets a request pass, or says what stands against it. While the app is left alone, one request passes as a probe each time
    /// the wait is over.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Standing> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let wait = open.probe_time.duration_since(now);
        if wait.is_zero() {
            open.probe_time = now.saturating_add(open.wait);
            open.is_probing = true;
            return Ok(());
        }
        Err(Standing { trip: open.trip, cause: open.cause.clone(), wait })
    }

    /// The provider gave a token.
    pub fn succeeded(&mut self, connection: &ConnectionName, now: Timestamp) {
        self.was_asked = true;
        self.remember(connection, now, false);
        self.close();
    }

    /// The provider refused something else than the app, and knew what it was talking about.
    pub fn accepted(&mut self) {
        self.was_asked = true;
        self.close();
    }

    /// The provider refused the app.
    pub fn refused(&mut self, cause: &str, now: Timestamp) {
        self.was_asked = true;
        self.trip_with(Trip::Refused, cause, now);
    }

    /// A connection failed in a way that need not be its own fault: no answer, a server error, a refusal without a reason.
    pub fn failed(&mut self, connection: &ConnectionName, cause: &str, now: Timestamp) {
        self.remember(connection, now, true);
        let failing: BTreeSet<&ConnectionName> =
            self.samples.iter().filter(|sample| sample.is_failure).map(|sample| &sample.connection).collect();
        let successes = self.samples.iter().filter(|sample| !sample.is_failure).count();
        let are_many = failing.len() >= MANY && successes * ONE_SUCCESS_PER <= self.samples.len();
        if are_many || self.trip() == Some(Trip::ManyFailures) {
            self.trip_with(Trip::ManyFailures, cause, now);
        }
    }

    /// Requests that were under way when it tripped fail too: only a failed probe makes the wait longer.
    fn trip_with(&mut self, trip: Trip, cause: &str, now: Timestamp) {
        let wait = match &self.open {
            Some(open) if open.trip == trip && !open.is_probing => return,
            Some(open) if open.trip == trip => open.wait.saturating_mul(2).min(LONGEST_WAIT),
            Some(_) | None => FIRST_WAIT,
        };
        let probe_time = now.saturating_add(wait);
        self.open = Some(Open { trip, cause: cause.to_owned(), wait, probe_time, is_probing: false });
    }

    fn remember(&mut self, connection: &ConnectionName, now: Timestamp, is_failure: bool) {
        let oldest = now.saturating_sub(WINDOW);
        self.samples.retain(|sample| sample.time > oldest);
        if self.samples.len() >= MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { time: now, connection: connection.clone(), is_failure });
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            // What failed meanwhile belongs to the failure that is over.
            self.samples.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn name(number: usize) -> ConnectionName {
        ConnectionName::parse(&format!("tenants/a/connections/c{number}")).unwrap()
    }

    fn after(wait: Duration) -> Timestamp {
        NOW.saturating_add(wait)
    }

    #[test]
    fn a_refused_app_is_probed_ever_less_often_until_it_is_accepted() {
        let mut breaker = AppBreaker::default();
        breaker.refused("invalid_client", NOW);
        breaker.refused("invalid_client", NOW);
        let mut now = NOW;
        for seconds in [5, 10, 20, 40, 60, 60] {
            let standing = breaker.admit(now).unwrap_err();
            assert_eq!((standing.trip, standing.wait), (Trip::Refused, Duration::from_secs(seconds)));
            now = now.saturating_add(standing.wait);
            assert_eq!(breaker.admit(now), Ok(()), "the probe");
            assert!(breaker.admit(now).is_err(), "one probe at a time");
            breaker.refused("invalid_client", now);
        }
        breaker.accepted();
        assert_eq!((breaker.trip(), breaker.admit(now)), (None, Ok(())));
    }

    #[test]
    fn many_connections_that_fail_at_once_trip_it_and_one_that_fails_often_does_not() {
        let mut breaker = AppBreaker::default();
        for _ in 0..100 {
            breaker.failed(&name(0), "HTTP 500", NOW);
        }
        for number in 1..MANY - 1 {
            breaker.failed(&name(number), "HTTP 500", NOW);
        }
        assert_eq!(breaker.trip(), None);
        breaker.failed(&name(MANY), "HTTP 500", NOW);
        assert_eq!(breaker.trip(), Some(Trip::ManyFailures));
        assert_eq!(breaker.admit(after(FIRST_WAIT)), Ok(()));
        breaker.succeeded(&name(0), after(FIRST_WAIT));
        assert_eq!(breaker.trip(), None);
    }

    #[test]
    fn failures_among_successes_and_failures_of_long_ago_do_not_trip_it() {
        let mut breaker = AppBreaker::default();
        for number in 0..100 {
            breaker.succeeded(&name(number), NOW);
            breaker.failed(&name(number + 100), "HTTP 500", NOW);
        }
        assert_eq!(breaker.trip(), None);
        let mut breaker = AppBreaker::default();
        for number in 0..50 {
            let time = after(WINDOW / 8 * u32::try_from(number).unwrap());
            breaker.failed(&name(number), "HTTP 500", time);
        }
        assert_eq!(breaker.trip(), None);
    }

    proptest! {
        #[test]
        fn an_app_that_is_left_alone_is_asked_once_in_each_wait_whatever_happens(
            history in proptest::collection::vec((0_u64..20_000, 0_usize..40), 1..200),
        ) {
            let mut breaker = AppBreaker::default();
            let mut now = NOW;
            // When it was left alone, or last asked since.
            let mut since: Option<Timestamp> = None;
            for (millis, event) in history {
                now = now.saturating_add(Duration::from_millis(millis));
                match event {
                    0 => breaker.succeeded(&name(0), now),
                    1 => breaker.refused("invalid_client", now),
                    2..20 => breaker.failed(&name(event), "HTTP 500", now),
                    _ => match (breaker.admit(now), since) {
                        (Ok(()), Some(last)) => {
                            prop_assert!(now.duration_since(last) >= FIRST_WAIT);
                            since = Some(now);
                        }
                        (Ok(()), None) => {}
                        (Err(standing), since) => {
                            prop_assert!(since.is_some());
                            prop_assert!(!standing.wait.is_zero() && standing.wait <= LONGEST_WAIT);
                        }
                    },
                }
                since = breaker.trip().map(|_| since.unwrap_or(now));
            }
        }
    }
}
