//! A feed that misbehaves: nothing is lost or deleted on the strength of it.

use proto::sync::v1 as pb;
use simulator::{
    Change, DriveSpec, Endpoint, Fault, FaultKind, ResyncBody, ResyncInner, ResyncLocation, RetryAfter,
};

use crate::world::{World, empty_drive, small_drive};

/// A drive whose listing takes several pages.
fn several_pages() -> DriveSpec {
    DriveSpec { files: 2300, folders: 20, max_file_bytes: 10, ..small_drive() }
}

fn resync(inner: ResyncInner, location: ResyncLocation, body: ResyncBody) -> Fault {
    Fault::new(FaultKind::Resync { inner, location, body }).times(1)
}

/// Every form in which the provider refuses a cursor.
fn refusals() -> Vec<Fault> {
    let inners = [ResyncInner::Apply, ResyncInner::Upload, ResyncInner::None];
    let mut refusals: Vec<Fault> =
        inners.map(|inner| resync(inner, ResyncLocation::default(), ResyncBody::default())).into();
    for location in [ResyncLocation::Absent, ResyncLocation::Broken] {
        refusals.push(resync(ResyncInner::default(), location, ResyncBody::default()));
    }
    refusals.push(resync(ResyncInner::default(), ResyncLocation::default(), ResyncBody::Text));
    refusals
}

/// onedriver `fs/delta.go`: any error of the feed, a refused link too, meant to be offline, and the same link was asked for every two
/// seconds for ever.
#[tokio::test]
async fn onedriver_delta_a_refused_cursor_means_a_new_listing_in_the_same_run() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    for (seed, refusal) in (0..).zip(refusals()) {
        world.drive.random_changes(seed, 10);
        world.sim.faults().add(refusal.clone());
        let before = world.sim.counters();
        let stats = world.run_to_equality().await.stats.unwrap();
        assert!(stats.items_listed >= 60, "{refusal:?}: the whole drive is listed");
        let downloads = world.sim.counters().of(Endpoint::Download) - before.of(Endpoint::Download);
        assert!(downloads < 25, "{refusal:?}: what did not change is not transferred again");
        world.sim.faults().clear();
    }
    world.end().await;
}

#[tokio::test]
async fn a_cursor_that_is_refused_between_pages_starts_the_listing_again() {
    let world = World::new(&several_pages()).await;
    world.sim.faults().add(
        resync(ResyncInner::default(), ResyncLocation::default(), ResyncBody::default())
            .on(Endpoint::Delta)
            .skip(2),
    );
    let stats = world.run_to_equality().await.stats.unwrap();
    assert!(stats.pages >= 5, "{stats:?}");
    world.end().await;
}

#[tokio::test]
async fn nothing_is_deleted_before_the_new_listing_is_complete() {
    let world = World::new(&several_pages()).await;
    world.run_to_equality().await;
    let gone = world.drive.walk().into_iter().find(|entry| entry.size > 0).unwrap();
    world.drive.apply(&Change::Delete { item: gone.id }).unwrap();
    let before = crate::world::read_tree(&world.mirror());
    world.sim.faults().add(resync(ResyncInner::default(), ResyncLocation::default(), ResyncBody::default()));
    // The new listing breaks off after its first page.
    world.sim.faults().add(Fault::status(403, None).on(Endpoint::Delta).skip(2));
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "ACCESS_DENIED"));
    assert!(run.stats.unwrap().pages > 0, "the fault struck between two pages");
    assert!(crate::world::read_tree(&world.mirror()) == before, "nothing changed at the destination");
    world.sim.faults().clear();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.items_deleted, 1);
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_refuses_every_cursor_ends_the_run() {
    let world = World::new(&several_pages()).await;
    world.sim.faults().add(Fault::new(FaultKind::Resync {
        inner: ResyncInner::default(),
        location: ResyncLocation::default(),
        body: ResyncBody::default(),
    }));
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "RESYNC_AGAIN"));
    world.sim.faults().clear();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_feed_that_leads_in_a_circle_ends_the_run_and_the_next_one_recovers() {
    let world = World::new(&several_pages()).await;
    world.sim.faults().add(Fault::new(FaultKind::NextlinkLoop).skip(1).times(1));
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "FEED_CIRCLE"));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn empty_pages_are_read_over() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::EmptyPageWithNextlink).times(2));
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.pages, 3);
    world.drive.random_changes(3, 10);
    world.sim.faults().add(Fault::new(FaultKind::EmptyPageWithNextlink).times(2));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_lost_tombstone_leaves_the_file_until_the_next_full_listing() {
    let world = World::new(&empty_drive()).await;
    for name in ["kept.txt", "gone.txt"] {
        let file = Change::CreateFile { parent: "/".into(), name: name.into(), size: 9 };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_equality().await;
    world.sim.faults().add(Fault::new(FaultKind::LostTombstone));
    world.drive.apply(&Change::Delete { item: "/gone.txt".into() }).unwrap();
    world.run_to_end().await;
    assert!(world.mirror().join("gone.txt").exists(), "nobody said that it is gone");
    world.sim.faults().clear();
    world.drive.expire_delta_links();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let world = World::new(&small_drive()).await;
    for endpoint in [Endpoint::Delta, Endpoint::Download] {
        world.sim.faults().add(Fault::throttle(endpoint, 2, Some(RetryAfter::Seconds(1))));
    }
    world.run_to_equality().await;
    assert_eq!(world.sim.counters().statuses[&429], 4);
    world.end().await;
}

#[tokio::test]
async fn a_service_that_stumbles_is_asked_again() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Delta).times(2));
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Download).times(10));
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_service_that_stays_away_fails_the_run_and_is_tried_later() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Delta));
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "GRAPH_UNAVAILABLE"));
    assert_eq!(end.exit(), service_kit::exit::Exit::TryAgain);
    assert_eq!(world.get_source().await.state(), pb::SourceState::Failing);
    world.sim.faults().clear();
    world.run_to_equality().await;
    assert_eq!(world.get_source().await.state(), pb::SourceState::Idle);
    world.end().await;
}
