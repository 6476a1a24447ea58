//! The fences that `Retry-After` puts up, and who ignores them (graph-behaviour §7).

use std::collections::{HashMap, HashSet};

use super::{CallerKey, MAX_CALLERS, Throttle};
use crate::lock::lock;

/// What was sent before the refusal could be read is no offence: calls in the first half of the wait, but no longer than this, are
/// not held against a client. Busy machines need a second for what takes a millisecond elsewhere.
const MAX_GRACE_MS: u64 = 1_000;

/// Until when callers were told to wait: everywhere, or with one drive.
pub(super) type Fences = HashMap<(CallerKey, Option<String>), Fence>;

/// A time in which a caller was told to stay away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence {
    from_ms: u64,
    until_ms: u64,
}

/// Who did not wait.
#[derive(Debug, Default)]
pub(super) struct Offenders {
    ignored: HashMap<CallerKey, u32>,
    blocked: HashSet<CallerKey>,
}

impl Fence {
    /// Whether a call at this time should not have come.
    fn forbids(&self, now_ms: u64) -> bool {
        let grace_ms = (self.until_ms.saturating_sub(self.from_ms) / 2).min(MAX_GRACE_MS);
        now_ms >= self.from_ms.saturating_add(grace_ms) && now_ms < self.until_ms
    }
}

impl Throttle {
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
            .filter(|fence| fence.forbids(now_ms))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> CallerKey {
        ("tenant".to_owned(), "app".to_owned())
    }

    #[test]
    fn a_fence_counts_from_when_it_could_be_heard_until_it_ends() {
        let throttle = Throttle::default();
        throttle.fence(&caller(), None, 2, 1_000);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 1_999), None);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 2_000), Some(1_000));
        assert_eq!(throttle.too_early(&caller(), Some("d"), 3_000), None);
        throttle.fence(&caller(), Some("x"), 2, 10_000);
        assert_eq!(throttle.too_early(&caller(), Some("d"), 11_000), None);
        assert_eq!(throttle.too_early(&caller(), Some("x"), 11_000), Some(1_000));
    }
}
