//! Limits of apps, users and tenants: what each has used, and what is left (graph-behaviour §7).

mod fences;
mod limits;

use std::collections::HashMap;
use std::sync::Mutex;

pub(crate) use self::limits::Limits;
use crate::lock::lock;

/// Longest `Retry-After` the limit itself asks for, in seconds.
const MAX_RETRY_AFTER_SECONDS: u64 = 300;
/// Units are counted in thousandths, so that a second's refill is never rounded away.
const FINE: u64 = 1_000;
/// Most callers kept track of; beyond it the books are begun anew.
const MAX_CALLERS: usize = 10_000;
/// Seconds over which each limit counts.
const TEN_SECONDS: u64 = 10;
const MINUTE: u64 = 60;
const FIVE_MINUTES: u64 = 300;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// From this share of a minute's units on, in percent, applications are told how much is left.
const TELLING_PERCENT: u64 = 80;

/// Who is limited together: a tenant and an app.
pub(crate) type CallerKey = (String, String);

/// Who asks: an app in a tenant, and the user it acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requester {
    pub(crate) key: CallerKey,
    /// Object id; none for an app that acts for itself.
    pub(crate) user: Option<String>,
}

/// The limits of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: Mutex<HashMap<Account, Bucket>>,
    fences: Mutex<fences::Fences>,
    offenders: Mutex<fences::Offenders>,
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
    Tenant(String),
    App(String),
    User(UserKey),
    Tokens(UserKey),
    Bytes(CallerKey, Direction),
    UserBytes(UserKey, Direction),
}

/// A tenant and a user in it.
type UserKey = (String, String);

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
        who: &Requester,
        units: u32,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<Option<Usage>, u64> {
        self.settle(claims(who, units, limits), limits.refused_count, now_ms)
    }

    /// Takes bytes of an app's and of a user's hour; when there are not enough, the seconds to wait. More than a whole hour's are
    /// taken as that.
    pub(crate) fn take_bytes(
        &self,
        who: &Requester,
        direction: Direction,
        bytes: u64,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), u64> {
        let which = |[ingress, egress]: [Option<u64>; 2]| match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        let claim = |account, amount: u64| Claim {
            account,
            amount,
            window_seconds: HOUR,
            cost: bytes.min(amount).saturating_mul(FINE),
        };
        let app = which(limits.bytes_per_app)
            .map(|amount| claim(Account::Bytes(who.key.clone(), direction), amount));
        let user = who.user_key().zip(which(limits.bytes_per_user));
        let user = user.map(|(user, amount)| claim(Account::UserBytes(user, direction), amount));
        self.settle(app.into_iter().chain(user).collect(), false, now_ms).map(|_| ())
    }

    /// Takes one token request of a user; when there were too many, the seconds to wait.
    pub(crate) fn take_token(&self, tid: &str, oid: &str, limits: &Limits, now_ms: u64) -> Result<(), u64> {
        let account = Account::Tokens((tid.to_owned(), oid.to_owned()));
        let claim = counted(account, limits.tokens_per_user, FIVE_MINUTES, FINE);
        self.settle(claim.into_iter().collect(), false, now_ms).map(|_| ())
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
}

impl Requester {
    fn user_key(&self) -> Option<UserKey> {
        self.user.clone().map(|user| (self.key.0.clone(), user))
    }
}

/// What a call is subject to.
fn claims(who: &Requester, units: u32, limits: &Limits) -> Vec<Claim> {
    let cost = u64::from(units).saturating_mul(FINE);
    let (tenant, app) = &who.key;
    let by_user =
        who.user_key().and_then(|user| counted(Account::User(user), limits.per_user, FIVE_MINUTES, FINE));
    let all = [
        counted(Account::Minute(who.key.clone()), limits.per_minute, MINUTE, cost),
        counted(Account::Day(who.key.clone()), limits.per_day, DAY, cost),
        counted(Account::Tenant(tenant.clone()), limits.per_tenant, FIVE_MINUTES, cost),
        counted(Account::App(app.clone()), limits.per_app, TEN_SECONDS, FINE),
        by_user,
    ];
    all.into_iter().flatten().collect()
}

/// The claim of a limit, if there is one.
fn counted(account: Account, amount: Option<u32>, window_seconds: u64, cost: u64) -> Option<Claim> {
    amount.map(|amount| Claim { account, amount: u64::from(amount), window_seconds, cost })
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

    const SIXTY: Limits = Limits {
        per_minute: Some(60),
        per_day: None,
        per_tenant: None,
        per_app: None,
        per_user: None,
        tokens_per_user: None,
        bytes_per_app: [None; 2],
        bytes_per_user: [None; 2],
        refused_count: false,
    };

    fn who(app: &str, user: Option<&str>) -> Requester {
        Requester { key: ("tenant".to_owned(), app.to_owned()), user: user.map(str::to_owned) }
    }

    #[test]
    fn a_bucket_refills_with_time_and_tells_how_long() {
        let throttle = Throttle::default();
        let take =
            |app: &str, units, now_ms| throttle.take(&who(app, None), units, &SIXTY, now_ms).map(|_| ());
        assert_eq!(take("app", 60, 0), Ok(()));
        assert_eq!(take("app", 2, 0), Err(3));
        assert_eq!(take("app", 2, 2_000), Ok(()));
        assert_eq!(take("another", 2, 2_000), Ok(()));
    }

    #[test]
    fn refused_calls_count_when_they_are_told_to() {
        let throttle = Throttle::default();
        let limits = Limits { refused_count: true, ..SIXTY };
        let take = |units, now_ms| throttle.take(&who("app", None), units, &limits, now_ms).map(|_| ());
        assert_eq!(take(59, 0), Ok(()));
        assert_eq!(take(2, 0), Err(2));
        assert_eq!(take(1, 0), Err(2));
    }

    #[test]
    fn days_and_users_have_limits_of_their_own() {
        let throttle = Throttle::default();
        let limits = Limits { per_minute: None, per_day: Some(10), per_user: Some(2), ..SIXTY };
        let take = |user| throttle.take(&who("app", Some(user)), 4, &limits, 0).map(|_| ());
        assert_eq!((take("a"), take("b")), (Ok(()), Ok(())));
        assert_eq!(take("c"), Err(MAX_RETRY_AFTER_SECONDS));
    }

    #[test]
    fn section_7_all_apps_of_a_tenant_share_a_limit_and_all_tenants_of_an_app_another() {
        let throttle = Throttle::default();
        let limits = Limits { per_minute: None, per_tenant: Some(10), per_app: Some(3), ..SIXTY };
        let take = |app: &str| throttle.take(&who(app, None), 4, &limits, 0).map(|_| ());
        assert_eq!((take("a"), take("b")), (Ok(()), Ok(())));
        assert_eq!(take("c"), Err(61));
        let elsewhere = Requester { key: ("other".to_owned(), "a".to_owned()), user: None };
        let take = || throttle.take(&elsewhere, 1, &limits, 0).map(|_| ());
        assert_eq!((take(), take(), take()), (Ok(()), Ok(()), Err(4)));
    }

    #[test]
    fn section_7_users_have_bytes_and_token_requests_of_their_own() {
        let throttle = Throttle::default();
        let limits = Limits {
            tokens_per_user: Some(1),
            bytes_per_app: [Some(100), None],
            bytes_per_user: [Some(60), None],
            ..SIXTY
        };
        let upload = |user| throttle.take_bytes(&who("app", Some(user)), Direction::Ingress, 50, &limits, 0);
        assert_eq!(upload("a"), Ok(()));
        assert_eq!(upload("a"), Err(MAX_RETRY_AFTER_SECONDS), "the user's hour");
        assert_eq!(upload("b"), Ok(()));
        assert_eq!(upload("c"), Err(MAX_RETRY_AFTER_SECONDS), "the app's hour");
        let download = throttle.take_bytes(&who("app", Some("a")), Direction::Egress, 500, &limits, 0);
        assert_eq!(download, Ok(()));
        let token = |user| throttle.take_token("tenant", user, &limits, 0);
        assert_eq!((token("a"), token("a"), token("b")), (Ok(()), Err(MAX_RETRY_AFTER_SECONDS), Ok(())));
    }

    #[test]
    fn what_is_left_is_told_from_four_fifths_on() {
        let throttle = Throttle::default();
        let take = |units| throttle.take(&who("app", None), units, &SIXTY, 0);
        assert_eq!(take(47), Ok(None));
        assert_eq!(take(1), Ok(Some(Usage { limit: 60, remaining: 12, reset_seconds: 49 })));
    }
}
