//! Full comparisons, and feeds that a run can only get out of by listing the drive afresh.

use std::time::Duration;

use proto::sync::v1 as pb;
use simulator::{Change, Endpoint, Fault, FaultKind, ResyncBody, ResyncInner, ResyncLocation};

use crate::world::{SOURCE, World, empty_drive, read_tree, small_drive};

const WEEK: Duration = Duration::from_hours(7 * 24);

/// A mirror of so many files in the root.
async fn mirrored(files: u32) -> World {
    let world = World::new(&empty_drive()).await;
    for index in 0..files {
        let file = Change::CreateFile { parent: "/".into(), name: format!("{index}.txt"), size: 3 };
        world.drive.apply(&file).unwrap();
    }
    let run = world.run_to_equality().await;
    assert_eq!(run.listing_cause(), pb::ListingCause::First);
    world
}

/// Deletes a file, and the feed does not tell.
async fn lose_a_tombstone(world: &World, name: &str) {
    world.sim.faults().add(Fault::new(FaultKind::LostTombstone));
    world.drive.apply(&Change::Delete { item: format!("/{name}") }).unwrap();
    let run = world.run_to_end().await;
    assert_eq!(run.listing_cause(), pb::ListingCause::Changes);
    assert!(world.mirror().join(name).exists(), "nobody said that it is gone");
    world.sim.faults().clear();
}

#[tokio::test]
async fn abraunegg_3751_a_full_comparison_finds_what_the_feed_did_not_tell() {
    let mut world = mirrored(5).await;
    for lost in ["1.txt", "2.txt"] {
        lose_a_tombstone(&world, lost).await;
        world.run_to_end().await;
        assert!(world.mirror().join(lost).exists(), "not before its time");
        world.clock.advance(WEEK);
        let run = world.run_to_equality().await;
        assert_eq!(run.listing_cause(), pb::ListingCause::Periodic);
        assert_eq!(run.stats.unwrap().items_deleted, 1);
        // When that was is remembered.
        world.stop_sync_service().await;
        world.start_sync_service().await;
        let run = world.run_to_equality().await;
        assert_eq!((run.listing_cause(), run.stats.unwrap().graph_requests), (pb::ListingCause::Changes, 1));
    }
    world.end().await;
}

#[tokio::test]
async fn a_source_has_its_own_time_between_full_comparisons() {
    let world = mirrored(3).await;
    let request = pb::UpdateSourceRequest {
        source: Some(pb::Source {
            name: SOURCE.into(),
            full_listing_interval: Some(prost_types::Duration { seconds: 7200, nanos: 0 }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["full_listing_interval".into()] }),
    };
    world.sources().await.update_source(request).await.unwrap();
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.run_to_equality().await.listing_cause(), pb::ListingCause::Changes);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.run_to_equality().await.listing_cause(), pb::ListingCause::Periodic);
    world.end().await;
}

#[tokio::test]
async fn abraunegg_3363_a_full_comparison_that_breaks_off_deletes_nothing() {
    let world =
        World::new(&simulator::DriveSpec { files: 2300, folders: 20, max_file_bytes: 10, ..small_drive() })
            .await;
    world.run_to_equality().await;
    let gone = world.drive.walk().into_iter().find(|entry| entry.size > 0).unwrap();
    world.drive.apply(&Change::Delete { item: gone.id }).unwrap();
    let before = read_tree(&world.mirror());
    world.clock.advance(WEEK);
    world.sim.faults().add(Fault::status(403, None).on(Endpoint::Delta).skip(1));
    for _ in 0..2 {
        world.run_to_failure().await;
        assert!(read_tree(&world.mirror()) == before);
    }
    world.sim.faults().clear();
    let run = world.run_to_equality().await;
    assert_eq!((run.listing_cause(), run.stats.unwrap().items_deleted), (pb::ListingCause::Periodic, 1));
    world.end().await;
}

#[tokio::test]
async fn oikb_17_a_full_comparison_that_shows_an_empty_drive_waits_for_a_person() {
    let world = mirrored(12).await;
    world.sim.faults().add(Fault::new(FaultKind::LostTombstone));
    for index in 0..12 {
        world.drive.apply(&Change::Delete { item: format!("/{index}.txt") }).unwrap();
    }
    world.run_to_end().await;
    world.clock.advance(WEEK);
    let run = world.run_to_end().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DELETIONS_NEED_APPROVAL"));
    assert_eq!((run.stats.unwrap().deletions_held, read_tree(&world.mirror()).len()), (12, 12));
    world.end().await;
}

#[tokio::test]
async fn a_link_that_is_refused_run_after_run_is_given_up() {
    let world = mirrored(3).await;
    world.drive.apply(&Change::Delete { item: "/1.txt".into() }).unwrap();
    world.sim.faults().add(Fault::status(400, None).on(Endpoint::Delta));
    for _ in 0..3 {
        let (_, run) = world.run_to_failure().await;
        assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "FEED_REFUSED"));
        assert_eq!(run.listing_cause(), pb::ListingCause::Changes);
    }
    // Without a link there is nothing to give up: the fresh listing is tried for as long as it takes.
    for _ in 0..2 {
        let (_, run) = world.run_to_failure().await;
        assert_eq!(run.reason, "REQUEST_REFUSED");
        assert_eq!(run.listing_cause(), pb::ListingCause::LinkUnusable);
    }
    world.sim.faults().clear();
    assert_eq!(world.run_to_equality().await.listing_cause(), pb::ListingCause::LinkUnusable);
    assert_eq!(world.run_to_equality().await.listing_cause(), pb::ListingCause::Changes);
    world.end().await;
}

#[tokio::test]
async fn onedrive_api_docs_1424_a_feed_that_circles_at_the_stored_link_is_given_up() {
    let world = mirrored(3).await;
    let commit = async |lease: &pb::Lease, read_with: &str, leads_to: &str| {
        let link = pb::delta_page::Link::NextLink(leads_to.into());
        let page = pb::DeltaPage { items: Vec::new(), link: Some(link) };
        let request = pb::CommitPageRequest {
            run: lease.run.clone(),
            epoch: lease.epoch,
            read_with: read_with.into(),
            result: Some(pb::commit_page_request::Result::Page(page)),
            ..Default::default()
        };
        world.workers().await.commit_page(request).await.unwrap();
    };
    for failures in 0..3 {
        let lease = world.lease().await;
        assert!(failures == 0 || lease.cursor == "the same", "{}", lease.cursor);
        commit(&lease, &lease.cursor, "the same").await;
        let finish = pb::FinishRunRequest {
            run: lease.run.clone(),
            epoch: lease.epoch,
            state: pb::FinishState::Failed.into(),
            reason: "FEED_CIRCLE".into(),
            ..Default::default()
        };
        world.workers().await.finish_run(finish).await.unwrap();
    }
    let run = world.run_to_equality().await;
    assert_eq!(run.listing_cause(), pb::ListingCause::LinkUnusable);
    world.end().await;
}

#[tokio::test]
async fn elastic_4370_a_second_refusal_in_one_run_fails_loudly_with_the_drive() {
    let world = mirrored(3).await;
    let fault = FaultKind::Resync {
        inner: ResyncInner::default(),
        location: ResyncLocation::default(),
        body: ResyncBody::default(),
    };
    world.sim.faults().add(Fault::new(fault).times(2));
    let before = world.sim.counters().of(Endpoint::Delta);
    let (_, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "RESYNC_AGAIN"));
    assert!(run.detail.contains(world.drive.id()), "{}", run.detail);
    assert_eq!(world.sim.counters().of(Endpoint::Delta) - before, 2, "no third try in the same run");
    assert_eq!(world.run_to_equality().await.listing_cause(), pb::ListingCause::LinkExpired);
    world.end().await;
}
