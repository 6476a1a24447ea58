//! Large drives: what they take, and that they follow from the seed.

use simulator::{DriveSpec, MAX_ITEMS, NameStyle};

use crate::bench::Bench;

/// Bytes of memory one item may take.
const ITEM_BYTES: usize = 400;

fn large(files: u32) -> DriveSpec {
    DriveSpec { seed: 5, files, folders: files / 20, max_file_bytes: 1 << 20, ..DriveSpec::default() }
}

#[tokio::test]
async fn an_item_takes_less_than_400_bytes() {
    let bench = Bench::new().await;
    for names in [NameStyle::Plain, NameStyle::Varied] {
        let drive = bench.sim.create_drive(&DriveSpec { names, ..large(100_000) }).unwrap();
        let items = usize::try_from(drive.item_count()).unwrap();
        assert!(items >= 100_000);
        assert!(drive.memory_bytes() / items < ITEM_BYTES, "{}", drive.memory_bytes() / items);
    }
}

#[tokio::test]
async fn the_same_seed_is_the_same_drive_and_the_same_history() {
    let (left, right) = (Bench::new().await, Bench::new().await);
    let spec = DriveSpec { names: NameStyle::Varied, ..large(2_000) };
    let (left, right) = (left.sim.create_drive(&spec).unwrap(), right.sim.create_drive(&spec).unwrap());
    assert_eq!(left.id(), right.id());
    assert_eq!(left.random_changes(9, 200), right.random_changes(9, 200));
    let strip = |drive: &simulator::DriveHandle| {
        drive
            .walk()
            .into_iter()
            .map(|entry| (entry.path, entry.id, entry.size, entry.quick_xor))
            .collect::<Vec<_>>()
    };
    assert_eq!(strip(&left), strip(&right));
}

#[tokio::test]
async fn varied_drives_hold_what_real_ones_do() {
    let bench = Bench::new().await;
    let spec = DriveSpec { names: NameStyle::Varied, ..large(1_500) };
    let entries = bench.sim.create_drive(&spec).unwrap().walk();
    let any = |fits: &dyn Fn(&str) -> bool| entries.iter().any(|entry| fits(entry.path.last().unwrap()));
    assert!(any(&|name| name.contains('#')) && any(&|name| name.contains("%20")));
    assert!(any(&|name| name.starts_with('.')) && any(&|name| name.chars().count() == 200));
    assert!(any(&|name| name.contains('🎉')) && any(&|name| name.contains('\u{301}')));
    assert!(entries.iter().any(|entry| entry.path.len() >= 7));
    assert!(entries.iter().any(|entry| entry.size == 0 && entry.quick_xor.is_none()));
    assert_eq!(
        entries.iter().filter(|entry| entry.quick_xor.is_some() || entry.size == 0).count(),
        entries.len()
    );
}

#[tokio::test]
async fn a_drive_beyond_the_limit_is_refused() {
    let bench = Bench::new().await;
    assert!(
        bench.sim.create_drive(&DriveSpec { files: MAX_ITEMS, folders: 1, ..DriveSpec::default() }).is_err()
    );
    assert!(bench.sim.drives().is_empty());
}
