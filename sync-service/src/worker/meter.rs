//! What a run spends and is at: counts for the service, and which files take how long.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use graph_client::GraphClient;
use proto::sync::v1 as pb;
use service_kit::clock::duration_to_proto;
use tokio::time::Instant;

use super::throttle::Clients;
use crate::domain::activity::{MAX_ENTRIES, SlowItem, slowest_of};

/// What a run has spent since its lease was taken, and what it is at.
#[derive(Clone)]
pub(super) struct Spent {
    graphs: Arc<Clients>,
    requests_before: u64,
    /// Bytes received.
    bytes: Arc<AtomicU64>,
    /// Bytes verified.
    verified: Arc<AtomicU64>,
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    /// The client that the run's calls go through.
    graph: Option<Arc<GraphClient>>,
    begun: u64,
    /// By order of their beginning; no more than are transferred at once.
    current: BTreeMap<u64, File>,
    slowest: Vec<SlowItem>,
    verification: Option<Verification>,
}

/// How far a verification is, but for the bytes.
struct Verification {
    files_done: i64,
    files: i64,
    bytes: i64,
}

/// What is done with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Transferring,
    Verifying,
}

struct File {
    path: String,
    size: i64,
    received: Arc<AtomicU64>,
    began: Instant,
}

/// Counts what comes of one file, until it is dropped.
pub(super) struct Meter {
    spent: Spent,
    doing: Doing,
    number: u64,
    received: Arc<AtomicU64>,
}

impl Spent {
    pub(super) fn new(graphs: Arc<Clients>) -> Self {
        let requests_before = graphs.requests_sent();
        Self {
            graphs,
            requests_before,
            bytes: Arc::default(),
            verified: Arc::default(),
            files: Arc::default(),
        }
    }

    /// Says how this client is throttled from now on.
    pub(super) fn follow(&self, graph: Arc<GraphClient>) {
        self.lock().graph = Some(graph);
    }

    /// A file begins to be transferred.
    pub(super) fn begin(&self, path: &[String], size: i64) -> Meter {
        self.meter(path, size, Doing::Transferring)
    }

    /// A verification begins, of so many files and bytes.
    pub(super) fn begin_verification(&self, files: i64, bytes: i64) {
        self.lock().verification = Some(Verification { files_done: 0, files, bytes });
    }

    /// A file begins to be verified.
    pub(super) fn begin_verifying(&self, path: &[String], size: i64) -> Meter {
        self.meter(path, size, Doing::Verifying)
    }

    fn meter(&self, path: &[String], size: i64, doing: Doing) -> Meter {
        let received = Arc::<AtomicU64>::default();
        let file =
            File { path: path.join("/"), size, received: Arc::clone(&received), began: Instant::now() };
        let mut files = self.lock();
        files.begun += 1;
        let number = files.begun;
        files.current.insert(number, file);
        Meter { spent: self.clone(), doing, number, received }
    }

    pub(super) fn graph_requests(&self) -> i64 {
        signed(self.graphs.requests_sent().saturating_sub(self.requests_before))
    }

    pub(super) fn bytes_received(&self) -> i64 {
        signed(self.bytes.load(Ordering::Relaxed))
    }

    pub(super) fn bytes_verified(&self) -> i64 {
        signed(self.verified.load(Ordering::Relaxed))
    }

    /// What the run is at now.
    pub(super) fn activity(&self) -> pb::RunActivity {
        let files = self.lock();
        let throttled = files.graph.as_ref().map(|graph| graph.held_for()).filter(|wait| !wait.is_zero());
        let limit = files.graph.as_ref().map_or(0, |graph| graph.in_flight_limit());
        pb::RunActivity {
            current_files: files.current.values().take(MAX_ENTRIES).map(current).collect(),
            slowest_items: files.slowest.iter().map(slow).collect(),
            throttled_for: throttled.map(duration_to_proto),
            requests_limit: i32::try_from(limit).unwrap_or(i32::MAX),
            verification: files.verification.as_ref().map(|verification| pb::Verification {
                files_done: verification.files_done,
                bytes_done: self.bytes_verified(),
                files: verification.files,
                bytes: verification.bytes,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        // A poisoned lock still holds whole entries.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    /// Bytes came, or were read.
    pub(super) fn add(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.sum().fetch_add(bytes, Ordering::Relaxed);
    }

    fn sum(&self) -> &AtomicU64 {
        match self.doing {
            Doing::Transferring => &self.spent.bytes,
            Doing::Verifying => &self.spent.verified,
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let mut files = self.spent.lock();
        let Some(file) = files.current.remove(&self.number) else { return };
        let duration = file.began.elapsed();
        let received = signed(file.received.load(Ordering::Relaxed));
        if self.doing == Doing::Verifying {
            // What need not be read is done as well.
            let unread = u64::try_from(file.size.saturating_sub(received)).unwrap_or_default();
            self.sum().fetch_add(unread, Ordering::Relaxed);
            if let Some(verification) = &mut files.verification {
                verification.files_done += 1;
            }
            return;
        }
        let mut slowest = std::mem::take(&mut files.slowest);
        slowest.push(SlowItem { path: file.path, received, duration });
        files.slowest = slowest_of(slowest);
    }
}

fn current(file: &File) -> pb::CurrentFile {
    let bytes_received = signed(file.received.load(Ordering::Relaxed));
    pb::CurrentFile { path: file.path.clone(), size: file.size, bytes_received }
}

fn slow(item: &SlowItem) -> pb::SlowItem {
    pb::SlowItem {
        path: item.path.clone(),
        bytes_received: item.received,
        duration: Some(duration_to_proto(item.duration)),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
