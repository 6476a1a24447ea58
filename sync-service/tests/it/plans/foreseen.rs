//! What a plan foresees of the destination: that a disk is too full, and that a folder stays for what somebody put into it.

use std::fs;

use proto::sync::v1 as pb;
use simulator::Change;

use super::{apply, ask, delete, file, findings, lines, mkdir, plan, rename, suspend};
use crate::{
    destinations::TinyDisk,
    world::{Setup, World, empty_drive, source_name},
};

/// A plan by a worker that may not fill anything.
async fn greedy_plan(world: &World) -> (pb::Run, Vec<pb::Finding>) {
    let asked = ask(world).await;
    let greedy = world.worker_with(Setup { disk_reserve: u64::MAX, ..Setup::default() });
    let ends = greedy.drain().await.unwrap();
    assert_eq!((ends.len(), ends[0].run.as_str()), (1, asked.name.as_str()), "{ends:?}");
    assert!(ends[0].error.is_none(), "{ends:?}");
    (world.get_run(&asked.name).await, findings(world, &asked.name).await)
}

#[tokio::test]
async fn a_plan_says_what_there_is_no_room_for() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/moved.txt", 5), file("/deleted.txt", 5), file("/edited.txt", 5)]);
    suspend(&world, true).await;
    let (planned, found) = greedy_plan(&world).await;
    let nothing_fits = ["leave deleted.txt DESTINATION_FULL", "leave edited.txt DESTINATION_FULL"];
    assert_eq!((&lines(&found)[..2], found.len()), (&nothing_fits.map(str::to_owned)[..], 3));
    assert_eq!(planned.reason, "DESTINATION_FULL", "also of a folder that is still to be made");
    assert!(!world.mirror().exists());
    suspend(&world, false).await;
    world.run_to_equality().await;

    apply(&world, [rename("/moved.txt", "here.txt"), delete("/deleted.txt"), file("/new.txt", 1 << 20)]);
    apply(&world, [Change::Edit { item: "/edited.txt".into(), size: Some(2 << 20) }]);
    let (planned, found) = greedy_plan(&world).await;
    let expected = [
        "delete deleted.txt",
        "leave edited.txt DESTINATION_FULL",
        "leave new.txt DESTINATION_FULL",
        "move here.txt <- moved.txt",
    ];
    assert_eq!(lines(&found), expected);
    assert_eq!((planned.state(), planned.reason.as_str()), (pb::RunState::Succeeded, "DESTINATION_FULL"));
    let detail = "2 files of 3 MiB would not fit: 0 MiB can be filled, and ";
    assert!(planned.detail.starts_with(detail), "{}", planned.detail);
    let left = planned.finding_counts.iter().find(|count| count.kind() == pb::FindingKind::Leave).unwrap();
    assert_eq!((left.items, left.bytes), (2, 3 << 20));

    let greedy = world.worker_with(Setup { disk_reserve: u64::MAX, ..Setup::default() });
    let end = greedy.run_source(&source_name()).await.unwrap();
    let run = world.get_run(&end.run).await;
    let stats = run.stats.unwrap();
    assert_eq!(run.reason, "DESTINATION_FULL", "it came true");
    assert_eq!(
        (stats.items_failed, stats.items_moved, stats.items_deleted, stats.files_transferred),
        (2, 1, 1, 0)
    );
    drop(greedy);
    let (planned, _) = plan(&world).await;
    assert_eq!(
        (planned.reason.as_str(), planned.detail.as_str()),
        ("", ""),
        "with less to stay free, all fits"
    );
    world.run_to_equality().await;
    world.end().await;
}

#[tokio::test]
async fn a_plan_counts_what_it_fills_and_what_the_bin_gives() {
    let world = World::new(&empty_drive()).await;
    let folder = world.mirror();
    let Some(disk) = TinyDisk::mount(&folder) else {
        println!("no file system can be mounted here: filling a disk is not tested");
        return;
    };
    apply(&world, [file("/old.bin", 600 << 10)]);
    world.run_to_equality().await;
    apply(&world, [file("/one.bin", 300 << 10), file("/two.bin", 300 << 10)]);
    let (planned, found) = plan(&world).await;
    let mut kinds: Vec<_> = found.iter().map(pb::Finding::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [pb::FindingKind::Transfer, pb::FindingKind::Leave], "one of them fits: {found:?}");
    assert!(planned.detail.starts_with("1 file of 1 MiB would not fit: 0 MiB can be filled"), "{planned:?}");
    apply(&world, [delete("/old.bin"), delete("/one.bin"), delete("/two.bin"), file("/small.txt", 5)]);
    world.run_to_equality().await;
    // What was deleted lies in the bin, which makes way.
    apply(&world, [file("/new.bin", 700 << 10)]);
    let (planned, found) = plan(&world).await;
    assert_eq!((lines(&found), planned.reason.as_str()), (vec!["transfer new.bin".to_owned()], ""));
    world.run_to_equality().await;
    drop(disk);
    world.end().await;
}

#[tokio::test]
async fn a_plan_says_which_folders_stay_for_what_somebody_put_into_them() {
    let world = World::new(&empty_drive()).await;
    apply(&world, (0..20).map(|index| file(&format!("/stays-{index}"), 1)));
    apply(&world, ["planted", "deep", "edited", "emptied", "gone", "was"].map(mkdir));
    apply(&world, [Change::Mkdir { parent: "/deep".into(), name: "er".into() }]);
    apply(&world, [file("/planted/a.txt", 5), file("/deep/er/b.txt", 5), file("/edited/c.txt", 5)]);
    apply(&world, [file("/emptied/moved.txt", 5), file("/gone/d.txt", 5), file("/was/e.txt", 5)]);
    world.run_to_equality().await;
    for mine in ["planted/mine", "deep/er/mine", "edited/c.txt", "was/mine"] {
        fs::write(world.mirror().join(mine), "mine").unwrap();
    }
    // What is moved out of a folder keeps it from nothing; what moves with one is deleted where it lies.
    apply(
        &world,
        [
            Change::Move { item: "/emptied/moved.txt".into(), parent: "/".into(), name: None },
            rename("/was", "is"),
            delete("/planted"),
            delete("/deep"),
            delete("/edited"),
            delete("/emptied"),
            delete("/gone"),
        ],
    );
    let (_, found) = plan(&world).await;
    let kept: Vec<String> = lines(&found).into_iter().filter(|line| !line.starts_with("delete")).collect();
    let expected = [
        "keep deep FOLDER_KEPT",
        "keep deep/er FOLDER_KEPT",
        "keep edited FOLDER_KEPT",
        "keep edited/c.txt LOCAL_EDIT_KEPT",
        "keep planted FOLDER_KEPT",
        "move is <- was",
        "move moved.txt <- emptied/moved.txt",
    ];
    assert_eq!(kept, expected);
    let run = world.run_to_end().await;
    assert_eq!(run.stats.unwrap().local_kept, 5, "{run:?}");
    for stays in ["planted/mine", "deep/er/mine", "is/mine"] {
        assert!(world.mirror().join(stays).exists(), "{stays}");
    }
    assert!(!world.mirror().join("emptied").exists() && !world.mirror().join("gone").exists());
    world.end().await;
}
