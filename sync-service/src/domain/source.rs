//! A source: which drive goes where, how often, and how far it is.

use std::{path::PathBuf, time::Duration};

use graph_client::DrivePath;
use service_kit::{clock::Timestamp, resource_name::ResourceId};

use super::{
    cursor::Cursor,
    filter::Filter,
    folded::folded,
    listing::ListingCause,
    names::{ConnectionName, SourceName},
};

/// The store's key of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceKey(pub i64);

/// The store's key of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunKey(pub i64);

/// Where the files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A folder of the machine that the worker runs on; absolute.
    LocalFolder(PathBuf),
}

/// How the last run of a source ended, as far as it matters for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Well, or never tried.
    Good,
    /// It failed and is tried again.
    Failing,
    /// A person must act.
    NeedsPerson,
}

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSource {
    /// Its name.
    pub name: SourceName,
    /// Text for people.
    pub display_name: String,
    /// Whose account reads the drive.
    pub connection: ConnectionName,
    /// The drive.
    pub drive: DrivePath,
    /// Where the files go.
    pub destination: Destination,
    /// Time between runs.
    pub interval: Duration,
    /// Time between full comparisons; `None` for the service's own.
    pub full_interval: Option<Duration>,
    /// What of the drive is mirrored.
    pub filter: Filter,
    /// Whether it starts suspended.
    pub suspended: bool,
}

/// A source as stored.
#[expect(clippy::struct_excessive_bools, reason = "each is a state by itself, stored as it is")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The store's key.
    pub key: SourceKey,
    /// What was asked for.
    pub spec: NewSource,
    /// How the last run ended.
    pub health: Health,
    /// Position in the feed.
    pub cursor: Cursor,
    /// Counts fresh enumerations; items not seen in the current one are gone once it is complete.
    pub generation: i64,
    /// Whether a fresh enumeration is under way.
    pub enumerating: bool,
    /// Why the enumeration under way, or the last one, was begun.
    pub listing: ListingCause,
    /// When the last enumeration was complete; before the first one, when the source was made.
    pub full_time: Timestamp,
    /// Whether the filter has changed since the index was last gone through.
    pub filter_changed: bool,
    /// Runs in a row that failed at the stored link.
    pub feed_failures: u32,
    /// Whether a worker has written to the destination before.
    pub destination_filled: bool,
    /// Whether the destination takes several spellings for one name: see [`super::folded`].
    pub folds_names: bool,
    /// Whether it waits for its connection to be repaired.
    pub asleep: bool,
    /// When the next run is due.
    pub next_run_time: Timestamp,
    /// Failed runs in a row.
    pub failures: u32,
    /// Deletions that a person allowed.
    pub approved_deletions: i64,
    /// Who holds the source, if anybody.
    pub lease: Lease,
    /// The run under way.
    pub open_run: Option<RunKey>,
    /// A run that only looks and waits for a worker.
    pub waiting_run: Option<RunKey>,
    /// The newest run's id.
    pub latest_run: Option<ResourceId>,
    /// When it was made.
    pub create_time: Timestamp,
}

/// The index of a source: its rows, and how places in it compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// The source.
    pub source: SourceKey,
    /// See [`Source::folds_names`].
    pub folds_names: bool,
}

impl Index {
    /// What a name's place is compared by: equal for names that the destination takes for one.
    pub fn place_name(&self, name: &str) -> String {
        if self.folds_names { folded(name) } else { name.to_owned() }
    }
}

impl Source {
    /// The source's index.
    pub fn index(&self) -> Index {
        Index { source: self.key, folds_names: self.folds_names }
    }

    /// Begins a fresh enumeration. Nothing is gone yet: only a complete listing of the new generation can tell.
    pub fn list_afresh(&mut self, cause: ListingCause) {
        self.cursor = Cursor::Start;
        self.generation += 1;
        self.enumerating = true;
        self.listing = cause;
        self.feed_failures = 0;
    }
}

/// A worker's hold on a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who took it last; shown to people.
    pub worker: String,
    /// Grows with every lease.
    pub epoch: i64,
    /// When it ends; `None` when nobody holds it.
    pub expire_time: Option<Timestamp>,
}

impl Lease {
    /// Whether somebody holds it at `now`.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.expire_time.is_some_and(|expire_time| expire_time > now)
    }
}
