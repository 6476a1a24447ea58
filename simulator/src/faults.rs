//! Faults: what goes wrong, where, how often. Each has a source in graph-behaviour §13.

mod kind;

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

pub use self::kind::{BodyForm, FaultKind, ResetMoment, ResyncBody, ResyncInner, ResyncLocation, RetryAfter};
use crate::counters::Endpoint;
use crate::entra::error::table::EntraErrorName;
use crate::lock::lock;
use crate::mix::{Sequence, share};

/// Most faults set at one time; further ones replace the oldest.
const MAX_FAULTS: usize = 1_000;

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The kind of request it strikes; none means every kind it makes sense for.
    #[serde(default)]
    pub on: Option<Endpoint>,
    /// How many requests it strikes; none means until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many requests go well first.
    #[serde(default)]
    pub skip: u32,
    /// The probability with which it strikes a request; for faults of single items, the share of items (always the same ones).
    #[serde(default = "always")]
    pub probability: f64,
    /// Only this drive.
    #[serde(default)]
    pub drive: Option<String>,
    /// For faults of single items: only names that end so.
    #[serde(default)]
    pub name_ends_with: Option<String>,
}

const fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault that strikes every request it makes sense for, until it is cleared.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { kind, on: None, times: None, skip: 0, probability: 1.0, drive: None, name_ends_with: None }
    }

    /// The next `times` requests of a kind are refused with 429 and this `Retry-After`.
    #[must_use]
    pub const fn throttle(endpoint: Endpoint, times: u32, retry_after: Option<RetryAfter>) -> Self {
        Self::status(429, retry_after).on(endpoint).times(times)
    }

    /// An answer with this status and the body that belongs to it.
    #[must_use]
    pub const fn status(status: u16, retry_after: Option<RetryAfter>) -> Self {
        Self::new(FaultKind::Status { status, code: None, inner: None, body: BodyForm::Json, retry_after })
    }

    /// The error of Entra of a name or an AADSTS number; none when no row of [`entra_errors`](crate::entra_errors) has it.
    #[must_use]
    pub fn entra(error: &str) -> Option<Self> {
        let error = EntraErrorName::find(error)?;
        Some(Self::new(FaultKind::Entra { error, status: None, claims: None, retry_after: None }))
    }

    /// Only this kind of request.
    #[must_use]
    pub const fn on(mut self, endpoint: Endpoint) -> Self {
        self.on = Some(endpoint);
        self
    }

    /// Only so many requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Not the first so many requests.
    #[must_use]
    pub const fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Only with this probability, between 0 and 1.
    #[must_use]
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only items whose names end so.
    #[must_use]
    pub fn name_ends_with(mut self, end: impl Into<String>) -> Self {
        self.name_ends_with = Some(end.into());
        self
    }
}

/// A fault that is set, and how often it struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its number, to remove it by.
    pub id: u64,
    /// The fault, with what is left of `times` and `skip`.
    pub fault: Fault,
    /// Requests it struck.
    pub struck: u64,
}

/// The faults of a simulator.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    active: Vec<ActiveFault>,
    next: u64,
    random: Sequence,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Mutex::new(State { active: Vec::new(), next: 1, random: Sequence::new(seed) }) }
    }

    /// Sets a fault; returns its number.
    pub fn add(&self, fault: Fault) -> u64 {
        let mut state = lock(&self.state);
        let id = state.next;
        state.next += 1;
        if state.active.len() >= MAX_FAULTS {
            state.active.remove(0);
        }
        state.active.push(ActiveFault { id, fault, struck: 0 });
        id
    }

    /// Removes a fault; false when it is not set (any more).
    pub fn remove(&self, id: u64) -> bool {
        let mut state = lock(&self.state);
        let before = state.active.len();
        state.active.retain(|active| active.id != id);
        state.active.len() < before
    }

    /// Removes all faults.
    pub fn clear(&self) {
        lock(&self.state).active.clear();
    }

    /// The faults that are set, those that have struck for the last time included.
    pub fn list(&self) -> Vec<ActiveFault> {
        lock(&self.state).active.clone()
    }

    /// The faults that strike a request, used up by one each.
    pub(crate) fn strike(&self, endpoint: Endpoint, drive: Option<&str>) -> Hits {
        let mut state = lock(&self.state);
        let State { active, random, .. } = &mut *state;
        let mut hits = Vec::new();
        for active in active.iter_mut() {
            if active.aims_at(endpoint, drive) && active.is_due(random) {
                hits.push(Hit {
                    kind: active.fault.kind.clone(),
                    share: active.fault.probability,
                    name_ends_with: active.fault.name_ends_with.clone(),
                });
            }
        }
        Hits { hits }
    }
}

impl ActiveFault {
    fn aims_at(&self, endpoint: Endpoint, drive: Option<&str>) -> bool {
        let here = self.fault.on.map_or_else(|| self.fault.kind.fits(endpoint), |on| on == endpoint);
        here && self.fault.drive.as_deref().is_none_or(|only| drive == Some(only))
    }

    fn is_due(&mut self, random: &mut Sequence) -> bool {
        if self.fault.times == Some(0) {
            return false;
        }
        if self.fault.skip > 0 {
            self.fault.skip -= 1;
            return false;
        }
        if !self.fault.kind.is_per_item() && !random.chance(self.fault.probability) {
            return false;
        }
        self.fault.times = self.fault.times.map(|times| times - 1);
        self.struck += 1;
        true
    }
}

/// A fault that strikes a request.
#[derive(Debug)]
struct Hit {
    kind: FaultKind,
    share: f64,
    name_ends_with: Option<String>,
}

/// All faults that strike a request.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    hits: Vec<Hit>,
}

impl Hits {
    /// Number of faults.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.hits.len()).unwrap_or_default()
    }

    /// The first fault the closure picks something from.
    pub(crate) fn find<'a, T>(&'a self, pick: impl Fn(&'a FaultKind) -> Option<T>) -> Option<T> {
        self.hits.iter().find_map(|hit| pick(&hit.kind))
    }

    /// Whether the request has its effect and its answer does not arrive.
    pub(crate) fn lose_the_answer(&self) -> bool {
        self.has(&FaultKind::ConnReset { moment: ResetMoment::After }) || self.has(&FaultKind::TruncatedBody)
    }

    /// Whether this very fault strikes.
    pub(crate) fn has(&self, kind: &FaultKind) -> bool {
        self.hits.iter().any(|hit| hit.kind == *kind)
    }

    /// Whether a fault of single items strikes this one. The same items are struck each time.
    pub(crate) fn strikes_item(&self, kind: &FaultKind, item_key: u64, name: &str) -> bool {
        self.hits.iter().filter(|hit| hit.kind == *kind).any(|hit| {
            let named = hit.name_ends_with.as_deref().is_none_or(|end| name.ends_with(end));
            named && share(item_key) < hit.share
        })
    }
}
