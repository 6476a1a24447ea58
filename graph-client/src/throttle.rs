//! The pause that a throttled answer puts on every call of the client, not only on the one that met it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest pause that an answer can ask for. Values seen in the wild are below five minutes.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Seconds until the budget of the app is full again; sent along by some answers.
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Resource units of a minute.
const RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");

/// Resource units that are left.
const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// The time over which resource units are counted.
const MINUTE: Duration = Duration::from_mins(1);

/// How much of a budget is used, in percent: the rest is for whoever calls without Sluice, and for what is counted otherwise.
const USED_PERCENT: u32 = 90;

/// A share may be used so much ahead: calls do not come evenly.
const AHEAD: Duration = Duration::from_secs(2);

/// What of the provider's resource units a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Units that all who share the budget may use in a minute; `None` while nobody knows.
    pub units_per_minute: Option<u32>,
    /// How many share it, this one included.
    pub sharers: u32,
}

impl Default for Share {
    fn default() -> Self {
        Self { units_per_minute: None, sharers: 1 }
    }
}

impl Share {
    /// The time in which this client's share grows by a unit.
    fn gap(self) -> Option<Duration> {
        let units = self.units_per_minute?.max(1);
        Some(MINUTE * self.sharers.max(1) * 100 / USED_PERCENT / units)
    }
}

/// Until when nothing is sent, and how slowly after that.
#[derive(Debug)]
pub(crate) struct Fence {
    until: Mutex<Option<Instant>>,
    slow: Mutex<Option<Slow>>,
    pace: Mutex<Pace>,
    /// The budget that answers told of: news for others who share it.
    heard: watch::Sender<Option<u32>>,
    /// When answers to this client closed the way: news for others who share its limits.
    closed: watch::Sender<Option<Instant>>,
}

/// The budget is nearly used up: what is left of it is spread until it is full again.
#[derive(Clone, Copy, Debug)]
struct Slow {
    next: Instant,
    gap: Duration,
    until: Instant,
}

/// How fast the share of a budget is used.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    share: Share,
    /// When all that was used would have come, were it used evenly.
    due: Option<Instant>,
}

impl Default for Fence {
    fn default() -> Self {
        Self {
            until: Mutex::default(),
            slow: Mutex::default(),
            pace: Mutex::default(),
            heard: watch::Sender::new(None),
            closed: watch::Sender::new(None),
        }
    }
}

impl Fence {
    /// Closes the way as an answer asked for, and says so to those who listen.
    pub(crate) fn close_and_tell(&self, now: Instant, wait: Duration) {
        self.close(now, wait);
        let until = *self.until();
        self.closed.send_if_modified(|told| {
            let news = until > *told;
            *told = until.max(*told);
            news
        });
    }

    /// Hears of every time that answers close the way until.
    pub(crate) fn closings(&self) -> watch::Receiver<Option<Instant>> {
        self.closed.subscribe()
    }

    /// Says what this client may use from now on.
    pub(crate) fn share(&self, share: Share) {
        self.pace().share = share;
    }

    /// Hears of the budget whenever answers tell another one.
    pub(crate) fn budgets(&self) -> watch::Receiver<Option<u32>> {
        self.heard.subscribe()
    }

    /// Takes the words of an answer about what is left of the budget: everybody who shares it takes a part.
    pub(crate) fn slow_down(&self, now: Instant, left: BudgetLeft) {
        if left.limit.is_some() {
            self.heard.send_if_modified(|heard| std::mem::replace(heard, left.limit) != left.limit);
        }
        let gap = left.reset / left.remaining.max(1) * self.pace().share.sharers.max(1);
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let next = slow.map_or(now, |slow| slow.next.min(now + gap));
        *slow = Some(Slow { next, gap, until: now + left.reset });
    }

    /// How long the next call, of so many units, has to wait for its turn.
    pub(crate) fn turn(&self, now: Instant, units: u32) -> Duration {
        self.turn_in_pace(now, units).max(self.turn_in_what_is_left(now, units))
    }

    fn turn_in_pace(&self, now: Instant, units: u32) -> Duration {
        let mut pace = self.pace();
        let Some(gap) = pace.share.gap() else { return Duration::ZERO };
        let due = pace.due.map_or(now, |due| due.max(now));
        pace.due = Some(due + gap * units);
        due.saturating_duration_since(now).saturating_sub(AHEAD)
    }

    /// Zero unless the budget is nearly used up.
    fn turn_in_what_is_left(&self, now: Instant, units: u32) -> Duration {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = slow.as_mut().filter(|slow| now < slow.until) else {
            *slow = None;
            return Duration::ZERO;
        };
        // Beyond the reset there is a full budget again.
        let turn = current.next.max(now).min(current.until);
        current.next = turn + current.gap * units;
        turn.saturating_duration_since(now)
    }

    /// How long there is to wait, at `now`; zero when the way is free.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.until().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Closes the way until `wait` after `now`. An earlier end never replaces a later one.
    pub(crate) fn close(&self, now: Instant, wait: Duration) {
        let until = now + wait.min(MAX_RETRY_AFTER);
        let mut current = self.until();
        *current = Some(current.map_or(until, |known| known.max(until)));
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // A poisoned lock still holds a whole value.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of the app's budget, as an answer says: only sent when that is little (draft-ietf-httpapi-ratelimit-headers-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetLeft {
    limit: Option<u32>,
    remaining: u32,
    reset: Duration,
}

/// Reads `RateLimit-Remaining`, `RateLimit-Reset`, and `RateLimit-Limit` as far as it is a number above 0; nothing unless the first two are
/// there.
pub(crate) fn budget_left(headers: &HeaderMap) -> Option<BudgetLeft> {
    let remaining = text(headers, &RATE_LIMIT_REMAINING)?.trim().parse().ok()?;
    let reset = seconds(text(headers, &RATE_LIMIT_RESET)?)?;
    // Policies may follow the number behind a comma.
    let limit =
        text(headers, &RATE_LIMIT_LIMIT).and_then(|value| value.split(',').next()?.trim().parse().ok());
    let limit = limit.filter(|limit| *limit > 0);
    Some(BudgetLeft { limit, remaining, reset: reset.min(MAX_RETRY_AFTER) })
}

/// How long an answer asks to wait: the longer of `Retry-After`, in seconds or as a date, and `RateLimit-Reset`; at most
/// [`MAX_RETRY_AFTER`].
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let reset = headers.get(RATE_LIMIT_RESET).and_then(|value| seconds(value.to_str().ok()?));
    // Only an answer that is throttled at all says so by `Retry-After` or status, so the reset alone means nothing.
    let asked = text(headers, &RETRY_AFTER)
        .and_then(|value| seconds(value).or_else(|| until_date(headers, value)))?;
    Some(asked.max(reset.unwrap_or_default()).min(MAX_RETRY_AFTER))
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit is a long time too.
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// The date is compared with the answer's own `Date`, so that a wrong local clock does not matter.
fn until_date(headers: &HeaderMap, value: &str) -> Option<Duration> {
    let until = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(headers, &DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        values.iter().map(pair).collect()
    }

    #[test]
    fn retry_after_in_seconds_or_as_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (values, expected) in [
            (vec![("retry-after", "15")], Some(15)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (vec![("retry-after", "15"), ("ratelimit-reset", "20")], Some(20)),
            (vec![("retry-after", "15"), ("ratelimit-reset", "5")], Some(15)),
            (vec![("ratelimit-reset", "5")], None),
            (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30)),
            (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "1.5")], None),
            (vec![("retry-after", "999999999999999999999999")], Some(MAX_RETRY_AFTER.as_secs())),
            (vec![], None),
        ] {
            assert_eq!(retry_after(&headers(&values)), expected.map(Duration::from_secs), "{values:?}");
        }
    }

    #[test]
    fn the_fence_only_moves_out() {
        let fence = Fence::default();
        let now = Instant::now();
        assert_eq!(fence.remaining(now), Duration::ZERO);
        fence.close(now, Duration::from_secs(10));
        fence.close(now, Duration::from_secs(5));
        assert_eq!(fence.remaining(now + Duration::from_secs(1)), Duration::from_secs(9));
        assert_eq!(fence.remaining(now + Duration::from_secs(11)), Duration::ZERO);
    }

    #[test]
    fn what_is_left_of_a_budget_is_spread_until_it_is_full_again() {
        let left =
            headers(&[("ratelimit-limit", "1200"), ("ratelimit-remaining", "4"), ("ratelimit-reset", "8")]);
        let (fence, now) = (Fence::default(), Instant::now());
        assert_eq!(fence.turn(now, 1), Duration::ZERO, "nothing was said yet");
        fence.slow_down(now, budget_left(&left).unwrap());
        let turns: Vec<u64> = (0..6).map(|_| fence.turn(now, 1).as_secs()).collect();
        assert_eq!(turns, [0, 2, 4, 6, 8, 8]);
        assert_eq!(fence.turn(now + Duration::from_secs(9), 1), Duration::ZERO);
        assert_eq!(budget_left(&headers(&[("ratelimit-remaining", "4")])), None);
    }

    #[test]
    fn a_used_up_budget_waits_for_the_reset() {
        let (fence, now) = (Fence::default(), Instant::now());
        let none = headers(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "8")]);
        fence.slow_down(now, budget_left(&none).unwrap());
        assert!(fence.turn(now, 1) <= Duration::from_secs(8));
        assert_eq!(fence.turn(now, 1), Duration::from_secs(8));
    }

    #[test]
    fn a_share_is_used_evenly_after_a_little_ahead() {
        let (fence, now) = (Fence::default(), Instant::now());
        // 1,200 a minute, nine tenths of it used, by three: six in a second.
        fence.share(Share { units_per_minute: Some(1200), sharers: 3 });
        let turns: Vec<Duration> = (0..60).map(|_| fence.turn(now, 1)).collect();
        assert_eq!(
            turns.iter().filter(|turn| turn.is_zero()).count(),
            13,
            "two seconds ahead, and the first"
        );
        let last = turns.last().unwrap().as_millis();
        assert!((7800..=7840).contains(&last), "{last}");
        let dear = fence.turn(now + MINUTE, 5);
        assert_eq!(dear, Duration::ZERO, "what was not used does not add up");
        let ahead = (0..20).filter(|_| fence.turn(now + MINUTE, 1).is_zero()).count();
        assert_eq!(ahead, 8);
        fence.share(Share::default());
        assert_eq!(fence.turn(now, 1), Duration::ZERO);
    }

    #[test]
    fn what_is_left_is_shared_and_the_budget_is_told() {
        let (fence, now) = (Fence::default(), Instant::now());
        let mut budgets = fence.budgets();
        fence.share(Share { units_per_minute: None, sharers: 2 });
        let left =
            [("ratelimit-limit", "1200, 1200;w=60"), ("ratelimit-remaining", "4"), ("ratelimit-reset", "8")];
        fence.slow_down(now, budget_left(&headers(&left)).unwrap());
        assert_eq!(*budgets.borrow_and_update(), Some(1200));
        let turns: Vec<u64> = (0..3).map(|_| fence.turn(now, 1).as_secs()).collect();
        assert_eq!(turns, [0, 4, 8]);
        fence.slow_down(now, budget_left(&headers(&left)).unwrap());
        assert!(!budgets.has_changed().unwrap(), "the same again is no news");
    }

    #[test]
    fn only_news_of_answers_is_passed_on() {
        let (fence, now) = (Fence::default(), Instant::now());
        let closings = fence.closings();
        fence.close(now, Duration::from_secs(5));
        assert!(!closings.has_changed().unwrap(), "heard from others");
        fence.close_and_tell(now, Duration::from_secs(10));
        assert_eq!(*closings.borrow(), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn the_fence_is_bounded() {
        let fence = Fence::default();
        let now = Instant::now();
        fence.close(now, Duration::MAX);
        assert_eq!(fence.remaining(now), MAX_RETRY_AFTER);
    }
}
