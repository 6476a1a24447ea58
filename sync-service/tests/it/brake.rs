//! The deletion brake, end to end.

use proto::sync::v1 as pb;
use service_kit::{exit::Exit, status::status_reason};
use simulator::{Change, DriveSpec};

use crate::world::{SOURCE, World, read_tree, small_drive};

/// A mirror of so many files in one folder.
async fn mirrored(files: u32) -> World {
    let world = World::new(&DriveSpec { files: 0, folders: 0, ..small_drive() }).await;
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "d".into() }).unwrap();
    for index in 0..files {
        let file = Change::CreateFile { parent: "/d".into(), name: format!("{index}.txt"), size: 3 };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_equality().await;
    world
}

async fn held_run(world: &World) -> pb::Run {
    let end = world.run().await;
    assert_eq!(end.exit(), Exit::NeedsPerson, "{end:?}");
    let run = world.get_run(&end.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "DELETIONS_NEED_APPROVAL"));
    run
}

async fn approve(world: &World, run: &pb::Run, max_deletions: i64) -> Result<(), String> {
    let request = pb::ApproveDeletionsRequest { name: run.name.clone(), max_deletions };
    let answer = world.runs().await.approve_deletions(request).await;
    answer.map(|_| ()).map_err(|status| status_reason(&status).unwrap())
}

#[tokio::test]
async fn many_deletions_wait_for_a_person_while_everything_else_goes_on() {
    let world = mirrored(200).await;
    for index in 0..120 {
        world.drive.apply(&Change::Delete { item: format!("/d/{index}.txt") }).unwrap();
    }
    let new = Change::CreateFile { parent: "/".into(), name: "new.txt".into(), size: 3 };
    world.drive.apply(&new).unwrap();
    let run = held_run(&world).await;
    assert_eq!(run.stats.unwrap().deletions_held, 120);
    assert!(run.issues.iter().all(|issue| issue.reason == "DELETION_HELD"));
    assert_eq!(run.issues[0].path.split('/').next(), Some("d"), "issues tell where");
    assert_eq!(read_tree(&world.mirror()).len(), 202, "nothing is deleted, and what is new is there");
    assert_eq!(world.get_source().await.state(), pb::SourceState::NeedsPerson);

    assert_eq!(approve(&world, &run, 119).await, Err("MORE_DELETIONS_HELD".to_owned()));
    assert_eq!(approve(&world, &run, 120).await, Ok(()));
    assert_eq!(approve(&world, &run, 120).await, Ok(()), "once more does no harm");
    let ends = world.worker().drain().await.unwrap();
    assert_eq!(ends.len(), 1, "the approval makes the source due");
    world.assert_equal();
    assert_eq!(approve(&world, &run, 120).await, Err("NO_DELETIONS_HELD".to_owned()));
    world.end().await;
}

#[tokio::test]
async fn an_approval_is_for_the_deletions_that_were_shown() {
    let world = mirrored(300).await;
    for index in 0..120 {
        world.drive.apply(&Change::Delete { item: format!("/d/{index}.txt") }).unwrap();
    }
    let run = held_run(&world).await;
    approve(&world, &run, 120).await.unwrap();
    for index in 120..200 {
        world.drive.apply(&Change::Delete { item: format!("/d/{index}.txt") }).unwrap();
    }
    let run = held_run(&world).await;
    assert_eq!(run.stats.unwrap().deletions_held, 200);
    assert_eq!(read_tree(&world.mirror()).len(), 301);
    approve(&world, &run, 200).await.unwrap();
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_drive_that_is_suddenly_empty_deletes_nothing() {
    let world = mirrored(150).await;
    world.drive.apply(&Change::Delete { item: "/d".into() }).unwrap();
    let run = held_run(&world).await;
    assert_eq!(run.stats.unwrap().deletions_held, 151);
    world.drive.expire_delta_links();
    let run = held_run(&world).await;
    assert_eq!(run.stats.unwrap().deletions_held, 151);
    assert_eq!(read_tree(&world.mirror()).len(), 151);
    world.end().await;
}

#[tokio::test]
async fn deletions_that_are_taken_back_need_no_approval() {
    let world = mirrored(150).await;
    world.drive.apply(&Change::Delete { item: "/d".into() }).unwrap();
    held_run(&world).await;
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "d".into() }).unwrap();
    for index in 0..150 {
        let file = Change::CreateFile { parent: "/d".into(), name: format!("{index}.txt"), size: 3 };
        world.drive.apply(&file).unwrap();
    }
    // Other ids under the same names: the old ones are replaced, not held.
    world.run().await;
    world.assert_equal();
    world.end().await;
}

#[tokio::test]
async fn a_few_deletions_need_nobody() {
    let world = mirrored(120).await;
    for index in 0..100 {
        world.drive.apply(&Change::Delete { item: format!("/d/{index}.txt") }).unwrap();
    }
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!(stats.items_deleted, 100);
    let listed = world.get_source().await;
    assert_eq!(listed.name, SOURCE);
    world.end().await;
}
