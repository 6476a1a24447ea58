//! No token and no download link is ever in a log line, in the database, or at the destination.

use std::{
    io, str,
    sync::{Arc, Mutex},
};

use service_kit::telemetry::{self, LogFormat};
use simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use tracing::subscriber;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::world::{World, small_drive};

/// What the simulator marks its secrets with.
const CANARIES: [&str; 4] = ["sim-at-", "sim-rt-", "sim-dc-", "sim-dl-"];

/// Everything logged by the whole program, until it is taken. (A subscriber of one thread alone would miss what other threads were
/// the first to log: whether a line is wanted at all is remembered for all threads together.)
#[derive(Clone)]
struct Lines(Arc<Mutex<Option<Vec<u8>>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = self.0.lock().unwrap().as_mut() {
            lines.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn assert_clean(what: &str, bytes: &[u8]) {
    for canary in CANARIES {
        let found = bytes.windows(canary.len()).position(|window| window == canary.as_bytes());
        let around = found
            .map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())]));
        assert!(around.is_none(), "{what} holds a secret: {around:?}");
    }
}

#[tokio::test]
async fn no_secret_is_logged_or_stored() {
    let lines = Lines(Arc::new(Mutex::new(Some(Vec::new()))));
    let writer = lines.clone();
    let layer = telemetry::layer(LogFormat::Json, "trace", move || writer.clone()).unwrap();
    subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let world = World::new(&small_drive()).await;
    let faults = [
        Fault::new(FaultKind::DownloadUrlFirst401),
        Fault::new(FaultKind::TruncatedBody).times(3),
        Fault::new(FaultKind::Cae401).on(Endpoint::Delta).times(1),
        Fault::new(FaultKind::WrongHash).name_ends_with(".txt"),
        Fault::throttle(Endpoint::Download, 1, Some(RetryAfter::Seconds(1))),
        Fault::status(503, None).on(Endpoint::Download).times(3),
        Fault::status(403, None).on(Endpoint::Download).times(1),
    ];
    for fault in faults {
        world.sim.faults().add(fault);
    }
    let run = world.run_to_end().await;
    assert!(!run.issues.is_empty());
    assert_clean("a run", format!("{run:?}").as_bytes());
    for name in ["sync.db", "sync.db-wal"] {
        let bytes = std::fs::read(world.home.path().join(name)).unwrap();
        assert!(!bytes.is_empty(), "{name} is where it is looked for");
        assert_clean(name, &bytes);
    }
    for entry in std::fs::read_dir(world.mirror().join(".sluice")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert_clean(path.to_str().unwrap(), &std::fs::read(&path).unwrap());
        }
    }
    let logged = lines.0.lock().unwrap().take().unwrap();
    assert!(str::from_utf8(&logged).unwrap().contains("run leased"), "the log is captured");
    assert_clean("the log", &logged);
    world.end().await;
}
