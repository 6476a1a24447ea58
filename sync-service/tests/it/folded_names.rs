//! A destination that takes several spellings for one name, for real: `scripts/chaos names` mounts one and says where.

use std::{env, fs, os::unix::fs::symlink, path::PathBuf};

use simulator::Change;

use crate::{
    verify::verify,
    world::{World, small_drive},
};

/// Rounds of random changes.
const ROUNDS: u64 = 8;

#[expect(clippy::disallowed_methods, reason = "a test has no command line to take its folder from")]
fn folder() -> Option<PathBuf> {
    env::var("SLUICE_TEST_FOLDING_FOLDER").ok().map(PathBuf::from)
}

fn rename(world: &World, item: &str, name: &str) {
    world.drive.apply(&Change::Rename { item: item.into(), name: name.into() }).unwrap();
}

/// Names in a folder of the mirror, sorted.
fn names(world: &World, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(world.mirror().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn on_a_file_system_that_folds_names_the_mirror_equals_the_drive() {
    let Some(folder) = folder() else {
        println!("SLUICE_TEST_FOLDING_FOLDER is not set: a real file system that folds names is not tested");
        return;
    };
    let world = World::new(&small_drive()).await;
    symlink(&folder, world.mirror()).unwrap();
    world.run_to_equality().await;

    for name in ["Names", "other"] {
        world.drive.apply(&Change::Mkdir { parent: "/".into(), name: name.into() }).unwrap();
    }
    for name in ["a.txt", "b.txt"] {
        let file = Change::CreateFile { parent: "/Names".into(), name: name.into(), size: 40 };
        world.drive.apply(&file).unwrap();
    }
    world.run_to_equality().await;

    rename(&world, "/Names/a.txt", "A.TXT");
    rename(&world, "/Names", "NAMES");
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.files_transferred, names(&world, "NAMES")), (0, vec!["A.TXT".into(), "b.txt".into()]));

    // Two names are swapped, and spelled otherwise.
    for (from, to) in [("A.TXT", "c"), ("b.txt", "a.txt"), ("c", "B.TXT")] {
        rename(&world, &format!("/NAMES/{from}"), to);
    }
    // One is deleted and comes again, spelled otherwise.
    let stats = world.run_to_equality().await.stats.unwrap();
    assert_eq!((stats.files_transferred, names(&world, "NAMES")), (0, vec!["B.TXT".into(), "a.txt".into()]));
    world.drive.apply(&Change::Delete { item: "/NAMES/a.txt".into() }).unwrap();
    let file = Change::CreateFile { parent: "/NAMES".into(), name: "A.txt".into(), size: 60 };
    world.drive.apply(&file).unwrap();
    world.run_to_equality().await;
    assert_eq!(names(&world, "NAMES"), ["A.txt", "B.TXT"]);

    for seed in 0..ROUNDS {
        world.drive.random_changes(seed, 25);
        world.run_to_equality().await;
        assert_eq!(verify(&world).await.1, Vec::<String>::new());
    }
    world.end().await;
}
