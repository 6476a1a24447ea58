//! Looks at the destination all the time: whatever is to be seen there is whole, and was the drive's at some time.

use std::{
    collections::HashSet,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use graph_client::quick_xor::QuickXor;
use simulator::{DriveHandle, EntryKind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::processes::Stage;

/// Pause between two looks at everything.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Contents that the drive has or had, by hash.
type Known = Arc<Mutex<HashSet<String>>>;

pub(super) struct Watcher {
    known: Known,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Watcher {
    pub(super) fn start(stage: &Stage) -> Self {
        let (known, stop) = (Known::default(), CancellationToken::new());
        note(&mut known.lock().unwrap(), &stage.drive);
        let (mirror, told, seen) = (stage.mirror(), stop.clone(), Arc::clone(&known));
        let mut task = JoinSet::new();
        task.spawn(async move {
            while !told.is_cancelled() {
                let (mirror, seen) = (mirror.clone(), Arc::clone(&seen));
                tokio::task::spawn_blocking(move || look(&mirror, &mirror, &seen)).await.unwrap();
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
        Self { known, stop, task }
    }

    /// Changes the drive, one change after another, so that no content goes unnoted. Nothing is judged between a change and its note.
    pub(super) fn change(&self, drive: &DriveHandle, random: &mut dyn FnMut() -> u64, changes: u64) {
        for _ in 0..changes {
            let mut known = self.known.lock().unwrap();
            drive.random_changes(random(), 1);
            note(&mut known, drive);
        }
    }

    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.task.join_next().await {
            ended.expect("what is to be seen is whole");
        }
    }
}

fn note(known: &mut HashSet<String>, drive: &DriveHandle) {
    let files = drive.walk().into_iter().filter(|entry| entry.kind == EntryKind::File);
    // The drive gives no hash of an empty file.
    known.extend(files.map(|file| file.quick_xor.unwrap_or_else(|| QuickXor::new().base64())));
}

fn look(root: &Path, folder: &Path, known: &Known) {
    // Folders come and go under the look.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if folder == root && path.file_name().is_some_and(|name| name == ".sluice") {
            continue;
        }
        match fs::read(&path) {
            Ok(bytes) => {
                let mut hash = QuickXor::new();
                hash.update(&bytes);
                let whole = known.lock().unwrap().contains(&hash.base64());
                assert!(whole, "{} is no content that the drive had", path.display());
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => look(root, &path, known),
            Err(_) => {}
        }
    }
}
