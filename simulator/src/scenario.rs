//! Scenario files: drives, what happened to them before, and what goes on while clients look, in TOML.
//!
//! ```toml
//! [[drives]]
//! spec = { seed = 7, files = 200, folders = 20, names = "varied" }
//! random = { seed = 1, count = 500 }              # its history: happened before the first request
//!
//! [switches]
//! resource_units_per_minute = 1250
//!
//! [[events]]
//! at_milliseconds = 5000
//! changes = [{ op = "mkdir", parent = "/", name = "late" }]
//! faults = [{ fault = "status", status = 503, on = "delta", times = 3, retry_after = { seconds = 2 } }]
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::drive::change::{Change, ChangeError};
use crate::drive::handle::DriveHandle;
use crate::drive::spec::{DriveSpec, SpecError};
use crate::faults::Fault;
use crate::switches::Switches;
use crate::world::World;

/// Largest scenario file, in bytes.
pub const MAX_SCENARIO_BYTES: usize = 4 * 1024 * 1024;
/// Most repetitions of one event.
const MAX_REPETITIONS: u32 = 1_000_000;

/// A scenario.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The drives; at least one.
    drives: Vec<ScenarioDrive>,
    /// How the simulator behaves; what is left out has its default.
    #[serde(default)]
    switches: Option<Switches>,
    /// What happens later, in any order.
    #[serde(default)]
    events: Vec<Event>,
}

/// A drive and its history.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioDrive {
    #[serde(default)]
    spec: DriveSpec,
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    random: Option<Random>,
}

/// Random changes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    seed: u64,
    count: u32,
}

/// What happens at one moment: first the clock, then faults, then changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    /// Milliseconds of real time after the start.
    at_milliseconds: u64,
    /// Happens so many times in all, with `at_milliseconds` before each; the random seed grows by one each time.
    #[serde(default = "once")]
    times: u32,
    /// Number of the drive, from 0.
    #[serde(default)]
    drive: usize,
    #[serde(default)]
    advance_clock_seconds: u64,
    #[serde(default)]
    clear_faults: bool,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    expire_delta_links: bool,
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    random: Option<Random>,
}

const fn once() -> u32 {
    1
}

/// Why a scenario is not played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The text is longer than [`MAX_SCENARIO_BYTES`].
    #[error("a scenario has at most {MAX_SCENARIO_BYTES} bytes")]
    TooLong,
    /// The text is not a scenario.
    #[error("line {line}: {message}")]
    Parse {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// There is no drive.
    #[error("a scenario has at least one drive")]
    NoDrive,
    /// An event names a drive that is not there.
    #[error("event {event} is about drive {drive}, and there is no such drive (the first one is 0)")]
    UnknownDrive {
        /// Number of the event, from 0.
        event: usize,
        /// The drive it names.
        drive: usize,
    },
    /// A drive cannot be created.
    #[error("drive {drive} cannot be created")]
    Drive {
        /// Number of the drive, from 0.
        drive: usize,
        /// Why.
        #[source]
        source: SpecError,
    },
    /// A change of a history cannot be made.
    #[error("change {change} of drive {drive} cannot be made")]
    History {
        /// Number of the drive, from 0.
        drive: usize,
        /// Number of the change, from 0.
        change: usize,
        /// Why.
        #[source]
        source: ChangeError,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] when the text is too long or not a scenario, or its parts do not fit together.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > MAX_SCENARIO_BYTES {
            return Err(ScenarioError::TooLong);
        }
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Parse {
            line: error
                .span()
                .map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()),
            message: error.message().to_owned(),
        })?;
        if scenario.drives.is_empty() {
            return Err(ScenarioError::NoDrive);
        }
        let count = scenario.drives.len();
        match scenario.events.iter().enumerate().find(|(_, event)| event.drive >= count) {
            Some((number, event)) => Err(ScenarioError::UnknownDrive { event: number, drive: event.drive }),
            None => Ok(scenario),
        }
    }

    /// Sets the switches, and creates the drives with their histories.
    pub(crate) fn set(&self, world: &Arc<World>) -> Result<Vec<DriveHandle>, ScenarioError> {
        if let Some(switches) = &self.switches {
            world.switch(|present| present.clone_from(switches));
        }
        self.drives.iter().enumerate().map(|(number, drive)| drive.create(world, number)).collect()
    }
}

/// Lets the events of a scenario happen; ends after the last one, or when the simulator stops.
pub(crate) async fn play(scenario: Scenario, world: Arc<World>, drives: Vec<DriveHandle>) {
    let start = Instant::now();
    let mut due: Vec<(Instant, u32, Event)> = Vec::new();
    for event in scenario.events {
        let times = event.times.min(MAX_REPETITIONS);
        if times > 0 {
            due.push((start + Duration::from_millis(event.at_milliseconds), times, event));
        }
    }
    while let Some(next) = due.iter().enumerate().min_by_key(|(_, (at, ..))| *at).map(|(index, _)| index) {
        let (at, times, event) = due.swap_remove(next);
        tokio::select! {
            () = sleep_until(at) => {}
            () = world.stopped.cancelled() => return,
        }
        if let Some(drive) = drives.get(event.drive) {
            event.happen(&world, drive, times);
        }
        if times > 1 {
            due.push((at + Duration::from_millis(event.at_milliseconds.max(1)), times - 1, event));
        }
    }
}

impl ScenarioDrive {
    fn create(&self, world: &Arc<World>, number: usize) -> Result<DriveHandle, ScenarioError> {
        let made = world.create_drive(&self.spec);
        let drive = made.map_err(|source| ScenarioError::Drive { drive: number, source })?;
        let handle = DriveHandle { drive, world: Arc::clone(world) };
        for (change, wanted) in self.changes.iter().enumerate() {
            let made = handle.apply(wanted);
            made.map_err(|source| ScenarioError::History { drive: number, change, source })?;
        }
        if let Some(random) = self.random {
            handle.random_changes(random.seed, random.count);
        }
        Ok(handle)
    }
}

impl Event {
    fn happen(&self, world: &World, drive: &DriveHandle, left: u32) {
        world.clock.advance(Duration::from_secs(self.advance_clock_seconds));
        if self.clear_faults {
            world.faults.clear();
        }
        for fault in &self.faults {
            world.faults.add(fault.clone());
        }
        if self.expire_delta_links {
            drive.expire_delta_links();
        }
        for change in &self.changes {
            // Clients may have changed the drive since the scenario was written, so this is no reason to end.
            if let Err(error) = drive.apply(change) {
                tracing::warn!(?change, %error, "a change of the scenario was not made");
            }
        }
        if let Some(random) = self.random {
            drive.random_changes(random.seed.wrapping_add(u64::from(left)), random.count);
        }
    }
}
