//! §2: the delta feed.

use proptest::prelude::*;
use serde_json::Value;
use simulator::{Change, DriveKind, DriveSpec, NameStyle, ViolationKind};

use crate::bench::{Bench, Mirror, plain, truth};

const START: &str = "me/drive/root/delta";

fn create(parent: &str, name: &str) -> Change {
    Change::CreateFile { parent: parent.to_owned(), name: name.to_owned(), size: 5 }
}

fn mkdir(parent: &str, name: &str) -> Change {
    Change::Mkdir { parent: parent.to_owned(), name: name.to_owned() }
}

fn delete(item: &str) -> Change {
    Change::Delete { item: item.to_owned() }
}

fn names(page: &[Value]) -> Vec<&str> {
    page.iter().map(|item| item["name"].as_str().unwrap_or("(deleted)")).collect()
}

#[tokio::test]
async fn an_enumeration_tells_the_whole_drive_root_first() {
    let spec = DriveSpec { names: NameStyle::Varied, ..plain(150, 20) };
    let (bench, drive, token) = Bench::with_drive(&spec).await;
    let (pages, _) = bench.drain(&token, &format!("{START}?$top=40")).await;
    assert!(pages.len() > 3);
    assert!(pages[0][0].get("root").is_some());
    let mut mirror = Mirror::default();
    mirror.apply(&pages);
    assert_eq!(mirror.entries(), truth(&drive));
}

#[tokio::test]
async fn rule_2_the_folders_above_are_told_again_on_each_page() {
    let (bench, _, token) = Bench::with_drive(&plain(60, 6)).await;
    let (pages, _) = bench.drain(&token, &format!("{START}?$top=20")).await;
    assert!(pages.len() > 3 && pages.iter().all(|page| page[0].get("root").is_some()));
    assert!(pages.iter().all(|page| page.len() <= 20 + 6));
    bench.sim.switch(|switches| switches.delta.repeat_ancestors = false);
    let (pages, _) = bench.drain(&token, &format!("{START}?$top=20")).await;
    assert_eq!(pages.iter().flatten().filter(|item| item.get("root").is_some()).count(), 1);
}

#[tokio::test]
async fn rule_3_renaming_a_folder_tells_only_the_folder_and_no_path() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    drive.apply(&mkdir("/", "a")).unwrap();
    drive.apply(&create("/a", "x")).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&Change::Rename { item: "/a".into(), name: "b".into() }).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "b"]);
    assert!(pages[0].iter().all(|item| item.pointer("/parentReference/path").is_none()));
}

#[tokio::test]
async fn rule_1_many_changes_of_an_item_are_told_once() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&create("/", "x")).unwrap();
    drive.apply(&Change::Edit { item: "/x".into(), size: Some(9) }).unwrap();
    drive.apply(&Change::Rename { item: "/x".into(), name: "y".into() }).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "y"]);
    assert_eq!(pages[0][1]["size"], 9);
}

#[tokio::test]
async fn rule_4_a_tombstone_of_a_business_drive_has_id_parent_and_no_name() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "x")).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&delete("/x")).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    let tombstone = pages[0].last().unwrap();
    assert_eq!(tombstone["id"], id.as_str());
    assert_eq!(tombstone["deleted"]["state"], "deleted");
    assert!(tombstone["parentReference"]["id"].is_string());
    for absent in ["name", "cTag", "eTag", "size", "file", "lastModifiedDateTime"] {
        assert!(tombstone.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn rule_4_a_tombstone_of_a_personal_drive_has_a_name() {
    let spec = DriveSpec { kind: DriveKind::Personal, ..plain(0, 0) };
    let (bench, drive, token) = Bench::with_drive(&spec).await;
    drive.apply(&create("/", "x")).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&delete("/x")).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(pages[0].last().unwrap()["name"], "x");
}

#[tokio::test]
async fn rule_4_descendants_of_a_deleted_folder_have_tombstones_unless_switched_off() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    for folder in ["a", "b"] {
        drive.apply(&mkdir("/", folder)).unwrap();
        drive.apply(&create(&format!("/{folder}"), "x")).unwrap();
    }
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&delete("/a")).unwrap();
    let (pages, link) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "(deleted)", "(deleted)"]);
    bench.sim.switch(|switches| switches.delta.announce_descendants = false);
    drive.apply(&delete("/b")).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "(deleted)"]);
}

#[tokio::test]
async fn rule_5_creations_can_be_told_before_the_deletion_they_replace() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    drive.apply(&create("/", "x")).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&delete("/x")).unwrap();
    drive.apply(&create("/", "x")).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "(deleted)", "x"]);
    bench.sim.switch(|switches| switches.delta.create_before_delete = true);
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "x", "(deleted)"]);
}

#[tokio::test]
async fn rule_5_what_is_in_a_folder_can_be_told_before_it() {
    let (bench, drive, token) = Bench::with_drive(&plain(40, 8)).await;
    bench.sim.switch(|switches| switches.delta.children_before_parents = true);
    let (pages, link) = bench.drain(&token, &format!("{START}?$top=10")).await;
    assert!(pages.iter().all(|page| page.last().unwrap().get("root").is_some()));
    let mut mirror = Mirror::default();
    mirror.apply(&pages);
    drive.random_changes(3, 40);
    mirror.apply(&bench.drain(&token, &link).await.0);
    assert_eq!(mirror.entries(), truth(&drive));
}

#[tokio::test]
async fn rule_6_a_business_drive_leaves_out_ctags_and_a_personal_one_does_not() {
    for (kind, has_tag) in [(DriveKind::Business, false), (DriveKind::Personal, true)] {
        let spec = DriveSpec { kind, ..plain(3, 0) };
        let (bench, _, token) = Bench::with_drive(&spec).await;
        let (pages, _) = bench.drain(&token, START).await;
        let files = pages.iter().flatten().filter(|item| item.get("file").is_some());
        assert!(
            files.clone().count() == 3 && files.clone().all(|item| item.get("cTag").is_some() == has_tag)
        );
    }
}

#[tokio::test]
async fn rule_7_latest_is_a_link_from_now() {
    let (bench, drive, token) = Bench::with_drive(&plain(5, 0)).await;
    let (pages, link) = bench.drain(&token, &format!("{START}?token=latest")).await;
    assert_eq!(pages, [Vec::<Value>::new()]);
    drive.apply(&create("/", "new")).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "new"]);
    let (pages, _) = bench.drain(&token, "me/drive/root/delta(token='latest')").await;
    assert_eq!(pages, [Vec::<Value>::new()]);
}

#[tokio::test]
async fn rule_8_an_enumeration_lists_no_deletions_but_the_next_delta_tells_those_made_meanwhile() {
    let (bench, drive, token) = Bench::with_drive(&plain(30, 0)).await;
    drive.apply(&create("/", "gone before")).unwrap();
    drive.apply(&delete("/gone before")).unwrap();
    let first = bench.get(&token, &format!("{START}?$top=10")).await;
    let told = first.body["value"].as_array().unwrap().clone();
    let listed =
        told.iter().find(|item| item.get("file").is_some()).unwrap()["id"].as_str().unwrap().to_owned();
    drive.apply(&delete(&listed)).unwrap();
    let (rest, link) = bench.drain(&token, first.text("/@odata.nextLink")).await;
    assert!(told.iter().chain(rest.iter().flatten()).all(|item| item.get("deleted").is_none()));
    let (next, _) = bench.drain(&token, &link).await;
    let gone: Vec<_> = next.iter().flatten().filter(|item| item.get("deleted").is_some()).collect();
    assert!(gone.len() == 1 && gone[0]["id"] == listed.as_str());
}

#[tokio::test]
async fn rule_9_a_tombstone_is_told_once_per_link() {
    let (bench, drive, token) = Bench::with_drive(&plain(3, 0)).await;
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&delete(&drive.walk()[0].id)).unwrap();
    let (pages, link) = bench.drain(&token, &link).await;
    assert_eq!(pages[0].len(), 2);
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(pages, [Vec::<Value>::new()]);
}

#[tokio::test]
async fn rule_11_nothing_to_tell_still_gives_a_new_link() {
    let (bench, _, token) = Bench::with_drive(&plain(3, 0)).await;
    let (_, first) = bench.drain(&token, START).await;
    let (pages, second) = bench.drain(&token, &first).await;
    assert_eq!(pages, [Vec::<Value>::new()]);
    assert_ne!(first, second);
}

#[tokio::test]
async fn rule_12_what_is_below_a_moved_folder_is_not_told_again() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    for (parent, name) in [("/", "out of scope"), ("/", "scope"), ("/out of scope", "moved")] {
        drive.apply(&mkdir(parent, name)).unwrap();
    }
    drive.apply(&create("/out of scope/moved", "below")).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    let change = Change::Move { item: "/out of scope/moved".into(), parent: "/scope".into(), name: None };
    drive.apply(&change).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(names(&pages[0]), ["root", "scope", "moved"]);
    let below = bench.get(&token, "me/drive/root:/scope/moved/below").await;
    assert_eq!((below.status, below.text("/parentReference/name")), (200, "moved"));
}

#[tokio::test]
async fn section_2_4_pages_of_tombstones_are_small_when_switched_on() {
    let (bench, drive, token) = Bench::with_drive(&plain(20, 0)).await;
    let (_, link) = bench.drain(&token, START).await;
    for entry in drive.walk() {
        drive.apply(&delete(&entry.id)).unwrap();
    }
    bench.sim.switch(|switches| switches.delta.tombstone_page_size = Some(7));
    let (pages, _) = bench.drain(&token, &link).await;
    let tombstones = |page: &Vec<Value>| page.iter().filter(|item| item.get("deleted").is_some()).count();
    assert_eq!(pages.iter().map(tombstones).collect::<Vec<_>>(), [7, 7, 6]);
}

#[tokio::test]
async fn section_2_5_select_is_kept_over_pages() {
    let (bench, _, token) = Bench::with_drive(&plain(10, 0)).await;
    let (pages, _) =
        bench.drain(&token, &format!("{START}?$top=4&$select=id,name,content.downloadUrl,file")).await;
    assert!(pages.len() > 1);
    for item in pages.iter().flatten().filter(|item| item.get("file").is_some()) {
        assert!(item.get("@microsoft.graph.downloadUrl").is_some() && item.get("size").is_none());
    }
}

#[tokio::test]
async fn section_2_7_unknown_foreign_and_expired_links_are_410_with_a_way_back() {
    let (bench, drive, token) = Bench::with_drive(&plain(3, 0)).await;
    let other = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let (_, link) = bench.drain(&token, START).await;
    let (_, foreign) = bench.drain(&token, &format!("drives/{}/root/delta", other.id())).await;
    let foreign = foreign.replace(other.id(), drive.id());
    for bad in [format!("{START}?token=nonsense"), foreign] {
        let answer = bench.get(&token, &bad).await;
        assert_eq!((answer.status, answer.text("/error/code")), (410, "resyncRequired"));
        assert_eq!(answer.text("/error/innerError/code"), "resyncChangesApplyDifferences");
    }
    drive.expire_delta_links();
    let gone = bench.get(&token, &link).await;
    assert_eq!(gone.status, 410);
    let (pages, fresh) = bench.drain(&token, gone.header("location").unwrap()).await;
    assert_eq!(pages[0].len(), 4);
    bench.sim.switch(|switches| switches.delta.link_seconds = Some(60));
    bench.sim.clock().advance(std::time::Duration::from_mins(1));
    assert_eq!(bench.get(&token, &fresh).await.status, 410);
    assert_eq!(bench.provoked(), [ViolationKind::EditedLink; 2]);
}

#[tokio::test]
async fn section_2_1_folders_of_a_business_drive_have_no_delta() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&mkdir("/", "a")).unwrap();
    let answer = bench.get(&token, &format!("me/drive/items/{id}/delta")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text("/error/message").starts_with("Change tracking is not supported"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens while somebody reads: once it is quiet and the feed is drained, the reader has the drive.
    #[test]
    fn a_reader_ends_with_the_drive(
        seed in any::<u64>(),
        top in 1_usize..30,
        tombstones in proptest::option::of(1_usize..8),
        rounds in proptest::collection::vec(0_u32..12, 1..8),
        (repeat, reorder) in (any::<bool>(), any::<bool>()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (bench, drive, token) = Bench::with_drive(&DriveSpec { seed, ..plain(40, 8) }).await;
            bench.sim.switch(|switches| {
                switches.delta.tombstone_page_size = tombstones;
                switches.delta.repeat_ancestors = repeat;
                switches.delta.create_before_delete = reorder;
            });
            let mut mirror = Mirror::default();
            let mut next = format!("{START}?$top={top}");
            for (number, count) in rounds.iter().enumerate() {
                let answer = bench.get(&token, &next).await;
                mirror.apply(&[answer.body["value"].as_array().unwrap().clone()]);
                let link = answer.body.get("@odata.nextLink").or(answer.body.get("@odata.deltaLink"));
                next = link.unwrap().as_str().unwrap().to_owned();
                drive.random_changes(seed.wrapping_add(u64::try_from(number).unwrap()), *count);
            }
            for _ in 0..2 {
                let (pages, link) = bench.drain(&token, &next).await;
                mirror.apply(&pages);
                next = link;
            }
            assert_eq!(mirror.entries(), truth(&drive));
            assert_eq!(mirror.items.len(), usize::try_from(drive.item_count()).unwrap() + 1);
        });
    }
}
