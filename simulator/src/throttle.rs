//! Limits per (tenant, app): resource units per minute, and the fences that `Retry-After` puts up (graph-behaviour §7).

use std::collections::HashMap;
use std::sync::Mutex;

use crate::lock::lock;

/// Longest `Retry-After` the limit itself asks for, in seconds.
const MAX_RETRY_AFTER_SECONDS: u64 = 300;
/// What was sent before the refusal could be read is no offence: calls this soon after it are not held against a client.
const GRACE_MS: u64 = 300;
/// Units are counted in thousandths, so that a second's refill is never rounded away.
const FINE: u64 = 1_000;
/// Most callers kept track of; beyond it the books are begun anew.
const MAX_CALLERS: usize = 10_000;

/// Who is limited together: a tenant and an app.
pub(crate) type CallerKey = (String, String);

/// The limits of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: Mutex<HashMap<CallerKey, Bucket>>,
    fences: Mutex<HashMap<(CallerKey, Option<String>), Fence>>,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of units that are left.
    left: u64,
    at_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fence {
    from_ms: u64,
    until_ms: u64,
}

impl Throttle {
    /// Takes units; when there are not enough, the seconds to wait. A refused call costs nothing more.
    pub(crate) fn take(
        &self,
        caller: &CallerKey,
        units: u32,
        per_minute: u32,
        now_ms: u64,
    ) -> Result<(), u64> {
        let full = u64::from(per_minute).saturating_mul(FINE);
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_CALLERS {
            buckets.clear();
        }
        let bucket = buckets.entry(caller.clone()).or_insert(Bucket { left: full, at_ms: now_ms });
        let passed = now_ms.saturating_sub(bucket.at_ms);
        // Thousandths of units per millisecond are units per second.
        let refill = passed.saturating_mul(u64::from(per_minute)) / 60;
        if refill > 0 {
            bucket.left = bucket.left.saturating_add(refill).min(full);
            bucket.at_ms = now_ms;
        }
        let cost = u64::from(units).saturating_mul(FINE);
        if let Some(left) = bucket.left.checked_sub(cost) {
            bucket.left = left;
            return Ok(());
        }
        let lacking_ms = (cost - bucket.left).saturating_mul(60) / u64::from(per_minute.max(1));
        Err((lacking_ms / 1_000 + 1).min(MAX_RETRY_AFTER_SECONDS))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> CallerKey {
        ("tenant".to_owned(), "app".to_owned())
    }

    #[test]
    fn a_bucket_refills_with_time_and_tells_how_long() {
        let throttle = Throttle::default();
        assert_eq!(throttle.take(&caller(), 60, 60, 0), Ok(()));
        assert_eq!(throttle.take(&caller(), 2, 60, 0), Err(3));
        assert_eq!(throttle.take(&caller(), 2, 60, 2_000), Ok(()));
        let other = ("tenant".to_owned(), "another".to_owned());
        assert_eq!(throttle.take(&other, 2, 60, 2_000), Ok(()));
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
