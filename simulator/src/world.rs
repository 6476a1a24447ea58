//! Everything the three listeners share.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, Tenant, User};
use crate::counters::Counters;
use crate::critic::{Critic, ViolationKind};
use crate::drive::Drive;
use crate::drive::change::Circumstances;
use crate::drive::kept::Room;
use crate::drive::spec::{DriveSpec, SpecError};
use crate::entra::Entra;
use crate::entra::setup::SetupError;
use crate::faults::Faults;
use crate::graph::copy::Copies;
use crate::graph::subscriptions::Subscriptions;
use crate::graph::upload::Uploads;
use crate::lock::lock;
use crate::mix::{Sequence, join};
use crate::seal::Seal;
use crate::switches::Switches;
use crate::throttle::{Requester, Throttle};
use crate::transport::Pace;

/// Most files remembered as having had their first download refused; beyond it the memory is begun anew.
const MAX_REFUSED_LINKS: usize = 1_000_000;

/// Base addresses, without a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct Bases {
    pub(crate) authority: String,
    pub(crate) graph: String,
    pub(crate) control: String,
    /// Where download links lead: the same listener as Graph under another name.
    pub(crate) downloads: String,
}

/// Everything the three listeners share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) bases: Bases,
    pub(crate) clock: Clock,
    pub(crate) users: Vec<User>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) entra: Entra,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) throttle: Throttle,
    pub(crate) seal: Seal,
    /// Ends everything that waits.
    pub(crate) stopped: CancellationToken,
    /// Rings when a drive has changed.
    pub(crate) wake: tokio::sync::Notify,
    /// Room for what clients upload.
    pub(crate) room: Room,
    /// Uploads that are not finished.
    pub(crate) uploads: Uploads,
    /// Copies that are under way.
    pub(crate) copies: Copies,
    /// Who is told about changes.
    pub(crate) subscriptions: Subscriptions,
    critic: Critic,
    switches: Mutex<Switches>,
    drives: Mutex<Vec<Arc<Drive>>>,
    /// Delta links of a drive made before its present epoch are not honoured.
    epochs: Mutex<BTreeMap<u32, u32>>,
    /// Callers by number, for download links; there are no more than applications times users.
    callers: Mutex<Vec<Requester>>,
    refused_links: Mutex<HashSet<(u32, u32)>>,
    numbers: AtomicU64,
    /// Chooses how slow each connection is.
    paces: Mutex<Sequence>,
}

impl World {
    /// A world without drives.
    pub(crate) fn new(config: Config, bases: Bases) -> Result<Self, SetupError> {
        // Two simulators of one seed must not honour each other's tokens and links.
        let unique = join(join(config.seed, config.clock.now_ms()), crate::mix::text(&bases.graph));
        Ok(Self {
            bases,
            entra: Entra::new(&config, unique)?,
            faults: Faults::new(config.seed),
            counters: Counters::default(),
            throttle: Throttle::default(),
            seal: Seal::new(unique),
            stopped: CancellationToken::new(),
            wake: tokio::sync::Notify::new(),
            room: Room::default(),
            uploads: Uploads::default(),
            copies: Copies::default(),
            subscriptions: Subscriptions::default(),
            critic: Critic::default(),
            switches: Mutex::new(config.switches),
            drives: Mutex::default(),
            epochs: Mutex::default(),
            callers: Mutex::default(),
            refused_links: Mutex::default(),
            numbers: AtomicU64::new(1),
            paces: Mutex::new(Sequence::new(config.seed)),
            clock: config.clock,
            users: config.users,
            tenants: config.tenants,
        })
    }

    /// The present settings.
    pub(crate) fn switches(&self) -> Switches {
        lock(&self.switches).clone()
    }

    /// Changes the settings.
    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut lock(&self.switches));
    }

    /// A number that was not used before.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A GUID that was not used before, in no simulator.
    pub(crate) fn secret(&self) -> String {
        let unique = join(crate::mix::text(&self.bases.graph), join(self.number(), self.clock.now_ms()));
        crate::mix::guid(Sequence::new(unique).bytes())
    }

    /// How slow the next connection is.
    pub(crate) fn pace(&self) -> Pace {
        let network = self.switches().network;
        let mut paces = lock(&self.paces);
        let mut between =
            |[from, to]: [u64; 2]| from + paces.below(to.saturating_sub(from).saturating_add(1));
        let latency = Duration::from_millis(between(network.latency_milliseconds));
        Pace { latency, bytes_per_second: network.bytes_per_second.map(between) }
    }

    /// The user of this object id or principal name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.is_called(name))
    }

    /// Creates a drive.
    pub(crate) fn create_drive(&self, spec: &DriveSpec) -> Result<Arc<Drive>, SpecError> {
        spec.check()?;
        let owner = match &spec.owner {
            Some(name) => self.user(name),
            None => self.users.first(),
        };
        let owner =
            owner.cloned().ok_or_else(|| SpecError::UnknownOwner(spec.owner.clone().unwrap_or_default()))?;
        let index = u32::try_from(lock(&self.drives).len()).unwrap_or(u32::MAX);
        let drive = Arc::new(Drive::new(index, spec, owner, self.clock.stamp()));
        lock(&self.drives).push(Arc::clone(&drive));
        Ok(drive)
    }

    /// All drives, oldest first.
    pub(crate) fn drives(&self) -> Vec<Arc<Drive>> {
        lock(&self.drives).clone()
    }

    /// The drive of an id. The service takes ids of personal drives in any case.
    pub(crate) fn drive(&self, id: &str) -> Option<Arc<Drive>> {
        lock(&self.drives)
            .iter()
            .find(|drive| drive.ids.drive() == id || is_same_personal(drive, id))
            .cloned()
    }

    /// The drive of a number.
    pub(crate) fn drive_at(&self, index: u32) -> Option<Arc<Drive>> {
        lock(&self.drives).get(usize::try_from(index).ok()?).cloned()
    }

    /// What a change to a drive needs to know.
    pub(crate) fn circumstances(&self) -> Circumstances {
        Circumstances {
            now: self.clock.stamp(),
            now_ms: self.clock.now_ms(),
            announce_all: self.switches().delta.announce_descendants,
        }
    }

    /// Wakes whoever tells subscribers that a drive changed.
    pub(crate) fn changed(&self) {
        self.wake.notify_one();
    }

    /// Notes a violation.
    pub(crate) fn note(&self, kind: ViolationKind, detail: impl Into<String>) {
        self.critic.note(kind, detail.into(), self.clock.now_ms());
    }

    /// What the critic noted.
    pub(crate) const fn critic(&self) -> &Critic {
        &self.critic
    }

    /// The present epoch of a drive's delta links.
    pub(crate) fn epoch(&self, drive: u32) -> u32 {
        lock(&self.epochs).get(&drive).copied().unwrap_or_default()
    }

    /// Ends the life of all delta links of a drive.
    pub(crate) fn expire_delta_links(&self, drive: u32) {
        *lock(&self.epochs).entry(drive).or_default() += 1;
    }

    /// The number of a caller, for download links.
    pub(crate) fn caller_number(&self, caller: Requester) -> usize {
        let mut callers = lock(&self.callers);
        if let Some(known) = callers.iter().position(|known| *known == caller) {
            return known;
        }
        callers.push(caller);
        callers.len() - 1
    }

    /// The caller of a number.
    pub(crate) fn caller(&self, number: usize) -> Option<Requester> {
        lock(&self.callers).get(number).cloned()
    }

    /// Whether this is the first time the file is asked for, for the fault that refuses it.
    pub(crate) fn is_first_download(&self, drive: u32, slot: u32) -> bool {
        let mut refused = lock(&self.refused_links);
        if refused.len() >= MAX_REFUSED_LINKS {
            refused.clear();
        }
        refused.insert((drive, slot))
    }
}

fn is_same_personal(drive: &Drive, id: &str) -> bool {
    // Clients send back what they were told: in any case, and without leading zeros.
    drive.ids.kind() == crate::drive::spec::DriveKind::Personal
        && drive.ids.drive().trim_start_matches('0').eq_ignore_ascii_case(id.trim_start_matches('0'))
}
