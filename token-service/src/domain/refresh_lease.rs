//! Who may ask the provider about a connection. The lease keeps two replicas from asking at once; the generation of the row
//! keeps what they store apart, should it come to that all the same.

use std::time::Duration;

use service_kit::clock::Timestamp;

/// How long an expired lease is watched before somebody else takes it. An owner that lives, but could not reach the database
/// when its lease expired, stores within this time once it can.
pub const TAKEOVER_PAUSE: Duration = Duration::from_millis(1500);
/// How much longer a lease lives than the request it stands for.
pub const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// A lease as the database has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRecord {
    /// Whose it is; nobody's between refreshes.
    pub owner: Option<String>,
    /// Goes up each time it is taken.
    pub epoch: i64,
    /// Whether its time is over, by the database's clock: the clocks of replicas do not matter.
    pub is_expired: bool,
    /// What the last refresh left behind.
    pub aftermath: Aftermath,
}

/// What the last refresh left behind for whoever is next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Aftermath {
    /// Requests in a row that were sent and whose answers are lost. Zero means that the outcome is known.
    pub losses: u32,
    /// When the last of them was noticed.
    pub loss_time: Option<Timestamp>,
    /// Until when the provider is left alone.
    pub pause: Option<Pause>,
}

impl Aftermath {
    /// The pause that stands against asking now, and how long it lasts still. Whoever `insists` is held up only by what the provider
    /// itself asked for.
    pub fn standing_pause(&self, now: Timestamp, insists: bool) -> Option<(&Pause, Duration)> {
        let pause = self.pause.as_ref()?;
        let left = pause.until.duration_since(now);
        let binds = !insists || pause.reason == PauseReason::Throttled;
        (binds && !left.is_zero()).then_some((pause, left))
    }
}

/// Why and until when the provider is left alone, by all replicas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: PauseReason,
    /// The provider's error code and number.
    pub cause: String,
}

/// Why the provider is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PauseReason {
    /// It failed in passing or did not answer.
    Unavailable,
    /// It asked to wait.
    Throttled,
}

/// What a replica that wants to refresh finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nobody is refreshing.
    Free,
    /// Somebody is.
    Held,
    /// Somebody was, and neither stored anything nor gave the lease back: whether the provider was asked is not known.
    Abandoned,
}

impl LeaseRecord {
    /// Who has it.
    pub fn standing(&self) -> Standing {
        match (&self.owner, self.is_expired) {
            (None, _) => Standing::Free,
            (Some(_), false) => Standing::Held,
            (Some(_), true) => Standing::Abandoned,
        }
    }

    /// Whether a request may have been carried out whose answer nobody has.
    pub fn is_outcome_unknown(&self) -> bool {
        self.aftermath.losses > 0 || self.standing() == Standing::Abandoned
    }
}

/// The right to ask, until it expires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Which taking of the lease this is.
    pub epoch: i64,
    /// Requests before this one whose answers are lost: this one is a probe unless it is zero.
    pub losses: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(owner: Option<&str>, is_expired: bool) -> LeaseRecord {
        LeaseRecord { owner: owner.map(str::to_owned), epoch: 1, is_expired, aftermath: Aftermath::default() }
    }

    #[test]
    fn a_lease_is_free_held_or_abandoned() {
        assert_eq!(record(None, true).standing(), Standing::Free);
        assert_eq!(record(Some("a"), false).standing(), Standing::Held);
        assert_eq!(record(Some("a"), true).standing(), Standing::Abandoned);
    }

    #[test]
    fn an_owner_that_vanished_leaves_an_unknown_outcome() {
        assert!(record(Some("a"), true).is_outcome_unknown());
        assert!(!record(Some("a"), false).is_outcome_unknown());
        let lost = Aftermath { losses: 1, ..Aftermath::default() };
        assert!(LeaseRecord { aftermath: lost, ..record(None, true) }.is_outcome_unknown());
    }

    proptest! {
        #[test]
        fn the_provider_is_left_alone_until_the_pause_is_over_and_no_longer(
            now in 0_i64..2_000, until in 0_i64..2_000, is_throttle: bool, insists: bool,
        ) {
            let reason = if is_throttle { PauseReason::Throttled } else { PauseReason::Unavailable };
            let pause = Pause { until: Timestamp::from_millis(until), reason, cause: String::new() };
            let aftermath = Aftermath { pause: Some(pause), ..Aftermath::default() };
            let left = aftermath.standing_pause(Timestamp::from_millis(now), insists).map(|(_, left)| left);
            let binds = is_throttle || !insists;
            let expected = u64::try_from(until - now).ok().filter(|left| *left > 0 && binds);
            prop_assert_eq!(left, expected.map(Duration::from_millis));
        }
    }
}
