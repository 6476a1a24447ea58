//! Verifications that are cancelled, or lose their worker, in the middle of a file.

use std::fs::File;

use proto::sync::v1 as pb;
use tokio_util::sync::CancellationToken;

use super::in_database;
use crate::{
    plans::{apply, ask_for, file, findings, lines, only_run},
    world::{Setup, World, empty_drive, eventually},
};

/// So much that no machine reads it within a test.
const ENDLESS: u64 = 1 << 40;

/// A mirror of two files, of which one takes for ever to read, and a verification that waits.
async fn endless() -> (World, pb::Run) {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a", 5), file("/b", 5)]);
    world.run_to_equality().await;
    File::options().write(true).open(world.mirror().join("a")).unwrap().set_len(ENDLESS).unwrap();
    in_database(&world, &format!("UPDATE items SET applied_size = {ENDLESS} WHERE applied_name = 'a'")).await;
    let asked = ask_for(&world, pb::RunKind::Verify).await;
    (world, asked)
}

async fn is_reading(world: &World, run: &str) {
    eventually("the file is being read", async || {
        let run = world.get_run(run).await;
        let activity = run.activity.clone().unwrap_or_default();
        let reading = activity.current_files.iter().any(|file| file.path == "a" && file.bytes_received > 0);
        reading && run.phase() == pb::RunPhase::Verifying
    })
    .await;
}

#[tokio::test]
async fn a_verification_is_cancelled_in_the_middle_of_a_file() {
    let (world, asked) = endless().await;
    let worker = world.worker();
    let (ends, ()) = tokio::join!(worker.drain(), async {
        is_reading(&world, &asked.name).await;
        world.runs().await.cancel_run(pb::CancelRunRequest { name: asked.name.clone() }).await.unwrap();
    });
    assert_eq!(ends.unwrap().len(), 1);
    let run = world.get_run(&asked.name).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Cancelled, "CANCELLED"));
    let verified = run.activity.unwrap().verification.unwrap();
    assert_eq!(verified.files, 2);
    assert!(verified.bytes_done < verified.bytes, "{verified:?}");
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_stops_reading() {
    let (world, asked) = endless().await;
    let stop = CancellationToken::new();
    let worker = world.worker_with(Setup { stop: stop.clone(), ..Setup::default() });
    let (ends, ()) = tokio::join!(worker.drain(), async {
        is_reading(&world, &asked.name).await;
        stop.cancel();
    });
    assert_eq!(ends.unwrap().len(), 1);
    assert_eq!(world.get_run(&asked.name).await.reason, "WORKER_STOPPED");
    world.end().await;
}

#[tokio::test]
async fn the_verification_of_a_dead_worker_is_begun_anew() {
    let (world, asked) = endless().await;
    let worker = world.worker();
    tokio::select! {
        ends = worker.drain() => panic!("{ends:?}"),
        () = is_reading(&world, &asked.name) => {}
    }
    drop(worker);
    File::options().write(true).open(world.mirror().join("a")).unwrap().set_len(5).unwrap();
    world.expire_leases();
    assert_eq!(only_run(&world).await.run, asked.name);
    assert_eq!(lines(&findings(&world, &asked.name).await), ["changed a SIZE_DIFFERS"]);
    world.end().await;
}
