//! Bugs that users of other synchronisers met in what a feed shows; each test is named after the report. Others are beside the part they
//! concern, under names of the same form.

use proto::sync::v1 as pb;
use simulator::{
    Change, DriveKind, DriveSpec, Endpoint, Fault, FaultKind, ResyncBody, ResyncInner, ResyncLocation,
};

use crate::world::{World, empty_drive, small_drive};

/// Files in a folder of their own, mirrored.
async fn mirrored(files: u32) -> World {
    let world = World::new(&empty_drive()).await;
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "d".into() }).unwrap();
    for index in 0..files {
        create(&world, "/d", &format!("{index}.txt"));
    }
    world.run_to_equality().await;
    world
}

fn create(world: &World, parent: &str, name: &str) {
    let file = Change::CreateFile { parent: parent.into(), name: name.into(), size: 9 };
    world.drive.apply(&file).unwrap();
}

fn delete(world: &World, item: String) {
    world.drive.apply(&Change::Delete { item }).unwrap();
}

/// Empty folders were deleted and made again with each run, since only files counted as there.
#[tokio::test]
async fn abraunegg_3512_an_empty_folder_is_made_once() {
    let world = World::new(&empty_drive()).await;
    for name in ["empty", "emptied"] {
        world.drive.apply(&Change::Mkdir { parent: "/".into(), name: name.into() }).unwrap();
    }
    create(&world, "/emptied", "a.txt");
    world.run_to_equality().await;
    delete(&world, "/emptied/a.txt".into());
    world.run_to_equality().await;
    for expire in [false, true] {
        if expire {
            world.drive.expire_delta_links();
        }
        let stats = world.run_to_equality().await.stats.unwrap();
        assert_eq!((stats.folders_made, stats.items_deleted), (0, 0));
    }
    world.end().await;
}

/// Deletions come seven to a page whatever is asked for; clients took the many small pages for an endless feed.
#[tokio::test]
async fn onedrive_api_docs_1285_deletions_come_seven_to_a_page() {
    let world = mirrored(80).await;
    world.sim.switch(|switches| switches.delta.tombstone_page_size = Some(7));
    for index in 0..60 {
        delete(&world, format!("/d/{index}.txt"));
    }
    let stats = world.run_to_equality().await.stats.unwrap();
    assert!(stats.pages > 8, "{stats:?}");
    assert_eq!(stats.items_deleted, 60);
    world.end().await;
}

/// A folder that is deleted and made again while the drive is listed shows only its new id, and no tombstone of the old one.
#[tokio::test]
async fn docs_contrib_8794_a_folder_that_was_made_again_has_another_id_and_no_tombstone() {
    let world = mirrored(10).await;
    delete(&world, "/d".into());
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "d".into() }).unwrap();
    for index in 0..10 {
        create(&world, "/d", &format!("{index}.txt"));
    }
    world.drive.expire_delta_links();
    world.run_to_equality().await;
    world.end().await;
}

/// What replaces a deleted item under its name is listed before the deletion.
#[tokio::test]
async fn rclone_listr_what_comes_again_and_out_of_order_ends_as_the_drive_has_it() {
    let world = mirrored(10).await;
    world.sim.switch(|switches| {
        switches.delta.create_before_delete = true;
        switches.delta.repeat_ancestors = true;
    });
    for index in 0..5 {
        delete(&world, format!("/d/{index}.txt"));
        create(&world, "/d", &format!("{index}.txt"));
    }
    world.run_to_equality().await;
    world.end().await;
}

/// After tens of thousands of uploads the stored link answered 504 for a while, and then 410.
#[tokio::test]
async fn docs_contrib_7861_a_link_that_times_out_and_then_expires_leads_to_a_fresh_listing() {
    let world = mirrored(5).await;
    create(&world, "/d", "new.txt");
    let resync = FaultKind::Resync {
        inner: ResyncInner::default(),
        location: ResyncLocation::default(),
        body: ResyncBody::default(),
    };
    world.sim.faults().add(Fault::status(504, None).on(Endpoint::Delta).times(2));
    world.sim.faults().add(Fault::new(resync).skip(2).times(1));
    let run = world.run_to_equality().await;
    assert_eq!(run.listing_cause(), pb::ListingCause::LinkExpired);
    assert_eq!(run.stats.unwrap().files_transferred, 1);
    world.end().await;
}

/// The id of a personal drive loses its leading zeros in some answers and changes its case in others; a client that compares it ends
/// with an assertion, or lists without end.
#[tokio::test]
async fn abraunegg_3072_the_id_of_a_personal_drive_may_change_its_form() {
    let world = World::new(&DriveSpec { kind: DriveKind::Personal, ..small_drive() }).await;
    world.sim.switch(|switches| {
        switches.graph.truncate_drive_id = true;
        switches.graph.mixed_case_drive_id = true;
    });
    world.run_to_equality().await;
    world.drive.random_changes(3, 10);
    world.run_to_equality().await;
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.files_transferred, stats.items_deleted), (0, 0));
    world.end().await;
}

/// A renamed folder is all that the feed tells; clients that keep paths left everything below at its old place.
#[tokio::test]
async fn airweave_a_renamed_folder_takes_along_what_lies_below_it() {
    let world = mirrored(10).await;
    world.drive.apply(&Change::Rename { item: "/d".into(), name: "e".into() }).unwrap();
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.items_moved, stats.files_transferred, stats.items_deleted), (1, 0, 0));
    world.end().await;
}
