//! What of a drive is mirrored, and changing that without starting over.

use proto::sync::v1 as pb;
use service_kit::status::status_violations;
use simulator::Change;

use crate::world::{SOURCE, World, empty_drive, read_tree};

async fn set(world: &World, filter: pb::Filter) -> Result<(), tonic::Status> {
    let source = pb::Source { name: SOURCE.into(), filter: Some(filter), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["filter".into()] });
    let request = pb::UpdateSourceRequest { source: Some(source), update_mask };
    world.sources().await.update_source(request).await.map(|_| ())
}

fn filter(include: &[&str], exclude: &[&str]) -> pb::Filter {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    pb::Filter { include: texts(include), exclude: texts(exclude), max_file_bytes: 0 }
}

fn paths(world: &World) -> Vec<String> {
    read_tree(&world.mirror()).into_keys().map(|path| path.replace('\u{1F}', "/")).collect()
}

/// `keep/a.pdf`, `keep/b.tmp`, `other/c.pdf`, `other/big.bin`.
async fn mirrored() -> World {
    let world = World::new(&empty_drive()).await;
    for folder in ["keep", "other"] {
        world.drive.apply(&Change::Mkdir { parent: "/".into(), name: folder.into() }).unwrap();
    }
    for (parent, name, size) in
        [("/keep", "a.pdf", 5), ("/keep", "b.tmp", 5), ("/other", "c.pdf", 5), ("/other", "big.bin", 5000)]
    {
        let file = Change::CreateFile { parent: parent.into(), name: name.into(), size };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_equality().await;
    world
}

#[tokio::test]
async fn a_filter_changes_what_is_mirrored_without_listing_the_drive_again() {
    let world = mirrored().await;
    set(&world, filter(&[], &["*.tmp", "other"])).await.unwrap();
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.len(), 1, "a changed filter makes the source due");
    assert_eq!(paths(&world), ["keep", "keep/a.pdf"]);
    let run = world.get_run(&ends[0].run).await;
    assert_eq!(run.listing_cause(), pb::ListingCause::Changes);
    assert_eq!(run.stats.unwrap().graph_requests, 1);

    let small = pb::Filter { max_file_bytes: 100, ..filter(&["other", "*.pdf"], &[]) };
    set(&world, small).await.unwrap();
    let run = world.run_to_end().await;
    assert_eq!((run.state(), run.stats.unwrap().files_transferred), (pb::RunState::Succeeded, 1));
    assert_eq!(paths(&world), ["keep", "keep/a.pdf", "other", "other/c.pdf"]);

    set(&world, pb::Filter::default()).await.unwrap();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn abraunegg_659_what_moves_into_the_reach_of_a_filter_is_mirrored_though_the_feed_tells_only_its_folder()
 {
    let world = mirrored().await;
    set(&world, filter(&["/keep"], &[])).await.unwrap();
    world.run_to_end().await;
    assert_eq!(paths(&world), ["keep", "keep/a.pdf", "keep/b.tmp"]);
    let into = Change::Move { item: "/other".into(), parent: "/keep".into(), name: None };
    world.drive.apply(&into).unwrap();
    world.run_to_equality().await;
    let out = Change::Move { item: "/keep/other".into(), parent: "/".into(), name: None };
    world.drive.apply(&out).unwrap();
    world.run_to_end().await;
    assert_eq!(paths(&world), ["keep", "keep/a.pdf", "keep/b.tmp"]);
    world.end().await;
}

#[tokio::test]
async fn a_filter_that_would_empty_the_destination_waits_for_a_person() {
    let world = mirrored().await;
    let before = paths(&world);
    set(&world, filter(&["nothing.like.this"], &[])).await.unwrap();
    let run = world.run_to_end().await;
    // Folders stay: something that matches could come into them.
    assert_eq!((run.state(), paths(&world).len()), (pb::RunState::Succeeded, 2));
    set(&world, pb::Filter::default()).await.unwrap();
    world.run_to_equality().await;
    set(&world, filter(&[], &["*"])).await.unwrap();
    let run = world.run_to_end().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DELETIONS_NEED_APPROVAL"));
    assert_eq!(paths(&world), before);
    set(&world, pb::Filter::default()).await.unwrap();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn every_bad_pattern_is_named() {
    let world = World::new(&empty_drive()).await;
    let bad = pb::Filter { max_file_bytes: -1, ..filter(&["a", "../b"], &["", "c//d"]) };
    let status = set(&world, bad).await.unwrap_err();
    let fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    let expected = [
        "source.filter.include[1]",
        "source.filter.exclude[0]",
        "source.filter.exclude[1]",
        "source.filter.max_file_bytes",
    ];
    assert_eq!(fields, expected);
    world.end().await;
}
