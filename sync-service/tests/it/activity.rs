//! What people see of a run while it goes on, and afterwards.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use simulator::{Endpoint, Fault, FaultKind};

use crate::world::{World, eventually, small_drive, source_name};

#[tokio::test]
async fn a_watcher_sees_the_files_at_hand_and_afterwards_the_slowest() {
    let world = World::new(&small_drive()).await;
    world
        .sim
        .faults()
        .add(Fault::new(FaultKind::HeaderStall { milliseconds: 4000 }).on(Endpoint::Download).times(3));
    let (worker, source) = (world.worker(), source_name());
    let watching = async {
        eventually("a run", async || !world.get_source().await.latest_run.is_empty()).await;
        let request = pb::WatchRunRequest { name: world.get_source().await.latest_run };
        let mut seen = world.runs().await.watch_run(request).await.unwrap().into_inner();
        let (mut files, mut last) = (0, pb::Run::default());
        while let Some(message) = seen.next().await {
            last = message.unwrap().run.unwrap();
            files = files.max(last.activity.as_ref().unwrap().current_files.len());
        }
        (files, last)
    };
    let (end, (files, last)) = tokio::join!(worker.run_source(&source), watching);
    assert!(end.unwrap().error.is_none());
    assert!((1..=10).contains(&files), "{files} files at hand");
    let activity = last.activity.unwrap();
    assert!(activity.current_files.is_empty(), "{activity:?}");
    assert_eq!(activity.slowest_items.len(), 10);
    let slow = activity.slowest_items.iter().filter(|item| item.duration.unwrap().seconds >= 4).count();
    assert_eq!(slow, 3, "{activity:?}");
    assert!(activity.slowest_items.iter().all(|item| !item.path.is_empty()));
    world.end().await;
}

#[tokio::test]
async fn a_watcher_sees_that_the_provider_asks_to_wait() {
    let world = World::new(&small_drive()).await;
    let wait = Some(simulator::RetryAfter::Seconds(4));
    world.sim.faults().add(Fault::status(429, wait).on(Endpoint::Download).skip(20).times(1));
    let (worker, source) = (world.worker(), source_name());
    let watching = async {
        eventually("a run that waits", async || {
            let latest = world.get_source().await.latest_run;
            if latest.is_empty() {
                return false;
            }
            let activity = world.get_run(&latest).await.activity.unwrap();
            activity.throttled_for.is_some() && activity.requests_limit < 16
        })
        .await;
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), watching);
    assert!(end.unwrap().error.is_none());
    world.assert_equal();
    world.end().await;
}
