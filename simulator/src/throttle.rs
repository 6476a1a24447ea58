//! Limits per (tenant, app) and per user: resource units, requests, and the fences that `Retry-After` puts up (graph-behaviour §7).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use crate::lock::lock;
use crate::switches::Switches;

/// Longest `Retry-After` the limit itself asks for, in seconds.
const MAX_RETRY_AFTER_SECONDS: u64 = 300;
/// What was sent before the refusal could be read is no offence: calls this soon after it are not held against a client.
const GRACE_MS: u64 = 300;
/// Units are counted in thousandths, so that a second's refill is never rounded away.
const FINE: u64 = 1_000;
/// Most callers kept track of; beyond it the books are begun anew.
const MAX_CALLERS: usize = 10_000;
/// Seconds over which each limit counts.
const MINUTE: u64 = 60;
const FIVE_MINUTES: u64 = 300;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// From this share of a minute's units on, in percent, applications are told how much is left.
const TELLING_PERCENT: u64 = 80;

/// Who is limited together: a tenant and an app.
pub(crate) type CallerKey = (String, String);

/// The limits of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: Mutex<HashMap<Account, Bucket>>,
    fences: Mutex<HashMap<(CallerKey, Option<String>), Fence>>,
    offenders: Mutex<Offenders>,
}

/// How much may be used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Resource units of an app in a tenant per minute.
    pub(crate) per_minute: Option<u32>,
    /// Resource units of an app in a tenant per day.
    pub(crate) per_day: Option<u32>,
    /// Requests of a user per five minutes.
    pub(crate) per_user: Option<u32>,
    /// Whether refused calls count like others.
    pub(crate) refused_count: bool,
}

impl Limits {
    /// The present limits.
    pub(crate) const fn of(switches: &Switches) -> Self {
        Self {
            per_minute: switches.resource_units_per_minute,
            per_day: switches.limits.resource_units_per_day,
            per_user: switches.limits.user_requests_per_five_minutes,
            refused_count: switches.limits.refused_calls_count,
        }
    }
}

/// How much of a minute's units is left, when that is little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Seconds until all of it is there again.
    pub(crate) reset_seconds: u64,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// Uploads.
    Ingress,
    /// Downloads.
    Egress,
}

/// What a bucket belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Account {
    Minute(CallerKey),
    Day(CallerKey),
    User(String, String),
    Bytes(CallerKey, Direction),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of units that are left.
    left: u64,
    at_ms: u64,
}

/// One of the limits a call is subject to.
struct Claim {
    account: Account,
    amount: u64,
    window_seconds: u64,
    cost: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fence {
    from_ms: u64,
    until_ms: u64,
}

#[derive(Debug, Default)]
struct Offenders {
    ignored: HashMap<CallerKey, u32>,
    blocked: HashSet<CallerKey>,
}

impl Claim {
    fn full(&self) -> u64 {
        self.amount.saturating_mul(FINE)
    }

    /// The bucket as it is now.
    fn refilled(&self, buckets: &HashMap<Account, Bucket>, now_ms: u64) -> Bucket {
        let Some(bucket) = buckets.get(&self.account) else {
            return Bucket { left: self.full(), at_ms: now_ms };
        };
        let passed = now_ms.saturating_sub(bucket.at_ms);
        // Thousandths of units per millisecond are units per second.
        let refill = passed.saturating_mul(self.amount) / self.window_seconds;
        if refill == 0 {
            return *bucket;
        }
        Bucket { left: bucket.left.saturating_add(refill).min(self.full()), at_ms: now_ms }
    }

    /// Seconds until there is enough; none when there is.
    fn wait(&self, bucket: Bucket) -> Option<u64> {
        let lacking = self.cost.checked_sub(bucket.left).filter(|lacking| *lacking > 0)?;
        let lacking_ms = lacking.saturating_mul(self.window_seconds) / self.amount.max(1);
        Some((lacking_ms / 1_000 + 1).min(MAX_RETRY_AFTER_SECONDS))
    }
}

impl Throttle {
    /// Takes units; when there are not enough, the seconds to wait.
    pub(crate) fn take(
        &self,
        caller: &CallerKey,
        user: Option<&str>,
        units: u32,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<Option<Usage>, u64> {
        self.settle(claims(caller, user, units, limits), limits.refused_count, now_ms)
    }

    /// Takes bytes of an app's hour; when there are not enough, the seconds to wait. More than a whole hour's are taken as that.
    pub(crate) fn take_bytes(
        &self,
        caller: &CallerKey,
        direction: Direction,
        bytes: u64,
        limit: Option<u64>,
        now_ms: u64,
    ) -> Result<(), u64> {
        let Some(amount) = limit else { return Ok(()) };
        let account = Account::Bytes(caller.clone(), direction);
        let cost = bytes.min(amount).saturating_mul(FINE);
        let claim = Claim { account, amount, window_seconds: HOUR, cost };
        self.settle(vec![claim], false, now_ms).map(|_| ())
    }

    fn settle(&self, claims: Vec<Claim>, refused_count: bool, now_ms: u64) -> Result<Option<Usage>, u64> {
        if claims.is_empty() {
            return Ok(None);
        }
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_CALLERS {
            buckets.clear();
        }
        let states: Vec<Bucket> = claims.iter().map(|claim| claim.refilled(&buckets, now_ms)).collect();
        let wait = claims.iter().zip(&states).filter_map(|(claim, bucket)| claim.wait(*bucket)).max();
        let mut usage = None;
        for (claim, bucket) in claims.into_iter().zip(states) {
            let cost = if wait.is_none() || refused_count { claim.cost } else { 0 };
            let left = bucket.left.saturating_sub(cost);
            if matches!(claim.account, Account::Minute(_)) {
                usage = told(&claim, left);
            }
            buckets.insert(claim.account, Bucket { left, at_ms: bucket.at_ms });
        }
        wait.map_or(Ok(usage), Err)
    }

    /// Remembers that a caller was told to wait: everywhere, or with one drive only.
    pub(crate) fn fence(&self, caller: &CallerKey, drive: Option<&str>, seconds: u64, now_ms: u64) {
        let fence = Fence { from_ms: now_ms, until_ms: now_ms.saturating_add(seconds.saturating_mul(1_000)) };
        let mut fences = lock(&self.fences);
        if fences.len() >= MAX_CALLERS {
            fences.clear();
        }
        fences.insert((caller.clone(), drive.map(str::to_owned)), fence);
    }

    /// Milliseconds by which a call came too early, when the caller was told to wait and had time to hear it.
    pub(crate) fn too_early(&self, caller: &CallerKey, drive: Option<&str>, now_ms: u64) -> Option<u64> {
        let fences = lock(&self.fences);
        let everywhere = fences.get(&(caller.clone(), None));
        let here = drive.and_then(|drive| fences.get(&(caller.clone(), Some(drive.to_owned()))));
        everywhere
            .into_iter()
            .chain(here)
            .filter(|fence| now_ms >= fence.from_ms + GRACE_MS && now_ms < fence.until_ms)
            .map(|fence| fence.until_ms - now_ms)
            .max()
    }

    /// Counts a call that came too early; returns how many there were.
    pub(crate) fn ignored(&self, caller: &CallerKey) -> u32 {
        let mut offenders = lock(&self.offenders);
        if offenders.ignored.len() >= MAX_CALLERS {
            offenders.ignored.clear();
        }
        let count = offenders.ignored.entry(caller.clone()).or_default();
        *count += 1;
        *count
    }

    /// Refuses everything to a caller from now on.
    pub(crate) fn block(&self, caller: &CallerKey) {
        lock(&self.offenders).blocked.insert(caller.clone());
    }

    /// Whether everything is refused to a caller.
    pub(crate) fn is_blocked(&self, caller: &CallerKey) -> bool {
        lock(&self.offenders).blocked.contains(caller)
    }

    /// Forgives everybody.
    pub(crate) fn unblock(&self) {
        *lock(&self.offenders) = Offenders::default();
    }
}

fn claims(caller: &CallerKey, user: Option<&str>, units: u32, limits: &Limits) -> Vec<Claim> {
    let cost = u64::from(units).saturating_mul(FINE);
    let claim = |account, amount: Option<u32>, window_seconds, cost| {
        amount.map(|amount| Claim { account, amount: u64::from(amount), window_seconds, cost })
    };
    let by_user = user.and_then(|user| {
        let account = Account::User(caller.0.clone(), user.to_owned());
        claim(account, limits.per_user, FIVE_MINUTES, FINE)
    });
    let minute = claim(Account::Minute(caller.clone()), limits.per_minute, MINUTE, cost);
    let day = claim(Account::Day(caller.clone()), limits.per_day, DAY, cost);
    minute.into_iter().chain(day).chain(by_user).collect()
}

fn told(claim: &Claim, left: u64) -> Option<Usage> {
    let used = claim.full().saturating_sub(left);
    if used.saturating_mul(100) < claim.full().saturating_mul(TELLING_PERCENT) {
        return None;
    }
    let reset_ms = used.saturating_mul(claim.window_seconds) / claim.amount.max(1);
    Some(Usage { limit: claim.amount, remaining: left / FINE, reset_seconds: reset_ms / 1_000 + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIXTY: Limits =
        Limits { per_minute: Some(60), per_day: None, per_user: None, refused_count: false };

    fn caller() -> CallerKey {
        ("tenant".to_owned(), "app".to_owned())
    }

    #[test]
    fn a_bucket_refills_with_time_and_tells_how_long() {
        let throttle = Throttle::default();
        let take = |caller: &CallerKey, units, now_ms| {
            throttle.take(caller, None, units, &SIXTY, now_ms).map(|_| ())
        };
        assert_eq!(take(&caller(), 60, 0), Ok(()));
        assert_eq!(take(&caller(), 2, 0), Err(3));
        assert_eq!(take(&caller(), 2, 2_000), Ok(()));
        let other = ("tenant".to_owned(), "another".to_owned());
        assert_eq!(take(&other, 2, 2_000), Ok(()));
    }

    #[test]
    fn refused_calls_count_when_they_are_told_to() {
        let throttle = Throttle::default();
        let limits = Limits { refused_count: true, ..SIXTY };
        let take = |units, now_ms| throttle.take(&caller(), None, units, &limits, now_ms).map(|_| ());
        assert_eq!(take(59, 0), Ok(()));
        assert_eq!(take(2, 0), Err(2));
        assert_eq!(take(1, 0), Err(2));
    }

    #[test]
    fn days_and_users_have_limits_of_their_own() {
        let throttle = Throttle::default();
        let limits = Limits { per_minute: None, per_day: Some(10), per_user: Some(2), refused_count: false };
        let take = |user| throttle.take(&caller(), Some(user), 4, &limits, 0).map(|_| ());
        assert_eq!((take("a"), take("b")), (Ok(()), Ok(())));
        assert_eq!(take("c"), Err(MAX_RETRY_AFTER_SECONDS));
    }

    #[test]
    fn what_is_left_is_told_from_four_fifths_on() {
        let throttle = Throttle::default();
        let take = |units| throttle.take(&caller(), None, units, &SIXTY, 0);
        assert_eq!(take(47), Ok(None));
        assert_eq!(take(1), Ok(Some(Usage { limit: 60, remaining: 12, reset_seconds: 49 })));
    }

    #[test]
    fn a_fence_counts_from_when_it_could_be_heard_until_it_ends() {
        let throttle = Throttle::default();
        throttle.fence(&caller(), None, 2, 1_000);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 1_000 + GRACE_MS - 1), None);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 2_000), Some(1_000));
        assert_eq!(throttle.too_early(&caller(), Some("d"), 3_000), None);
        throttle.fence(&caller(), Some("x"), 2, 10_000);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 11_000), None);
        assert_eq!(throttle.too_early(&caller(), Some("x"), 11_000), Some(1_000));
    }
}
