//! §1.1, §2.6, §3: what is shared, whom it is told, and what a client that looks after permissions is told of changes.

use serde_json::{Value, json};
use simulator::{Change, DriveHandle, DriveKind, DriveSpec, FIRST_USER, SECOND_USER};

use crate::bench::{Answer, Bench, plain};

const SCAN: &str = "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges";
const FEED: &str = "me/drive/root/delta";

async fn preferring(bench: &Bench, token: &str, path: &str, prefer: &str) -> Answer {
    bench.send(bench.http.get(bench.address(path)).bearer_auth(token).header("prefer", prefer)).await
}

fn named<'a>(answer: &'a Answer, name: &str) -> Option<&'a Value> {
    answer.body["value"].as_array().unwrap().iter().find(|item| item["name"] == name)
}

/// A folder with a file in it, and their delta link.
async fn shelf(bench: &Bench, drive: &DriveHandle, token: &str) -> String {
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "shelf".into() }).unwrap();
    drive.apply(&Change::CreateFile { parent: "/shelf".into(), name: "book".into(), size: 1 }).unwrap();
    bench.drain(token, FEED).await.1
}

#[tokio::test]
async fn section_2_6_a_change_of_permissions_alone_is_told_to_whom_prefers_it_and_may() {
    let (bench, drive, reader) = Bench::with_drive(&plain(0, 0)).await;
    let scanner = bench.token_of(FIRST_USER, "Sites.FullControl.All offline_access").await;
    let link = shelf(&bench, &drive, &scanner).await;
    drive.apply(&Change::Share { item: "/shelf".into() }).unwrap();
    for (token, prefer, told) in
        [(&scanner, SCAN, true), (&scanner, "deltashowsharingchanges", false), (&reader, SCAN, false)]
    {
        let page = preferring(&bench, token, &link, prefer).await;
        let changed = named(&page, "shelf").unwrap().get("@microsoft.graph.sharedChanged");
        assert_eq!(changed, told.then_some(&json!("True")), "{prefer}");
    }
    drive.apply(&Change::Rename { item: "/shelf".into(), name: "rack".into() }).unwrap();
    let page = preferring(&bench, &scanner, &link, SCAN).await;
    assert!(named(&page, "rack").unwrap().get("@microsoft.graph.sharedChanged").is_none());
}

#[tokio::test]
async fn section_2_6_hierarchical_sharing_is_told_only_where_it_begins() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    shelf(&bench, &drive, &token).await;
    drive.apply(&Change::Share { item: "/shelf".into() }).unwrap();
    for (prefer, below) in [("hierarchicalsharing", false), ("respond-async", true)] {
        let page = preferring(&bench, &token, FEED, prefer).await;
        assert!(named(&page, "shelf").unwrap().get("shared").is_some());
        assert_eq!(named(&page, "book").unwrap().get("shared").is_some(), below, "{prefer}");
    }
}

#[tokio::test]
async fn section_2_6_parents_can_be_left_out_but_the_root_comes_all_the_same() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let link = shelf(&bench, &drive, &token).await;
    drive.apply(&Change::Edit { item: "/shelf/book".into(), size: None }).unwrap();
    let names = async |prefer: &str| {
        let page = preferring(&bench, &token, &link, prefer).await;
        let items = page.body["value"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("respond-async").await, ["root", "shelf", "book"]);
    assert_eq!(names("deltaExcludeParent").await, ["root", "book"]);
}

#[tokio::test]
async fn section_3_what_others_shared_is_listed_with_where_it_really_is() {
    let (bench, drive, owner) = Bench::with_drive(&plain(0, 0)).await;
    bench.sim.create_drive(&DriveSpec { owner: Some(SECOND_USER.into()), ..plain(0, 0) }).unwrap();
    shelf(&bench, &drive, &owner).await;
    drive.apply(&Change::Share { item: "/shelf".into() }).unwrap();
    let guest = bench.token_of(SECOND_USER, "Files.Read.All offline_access").await;
    let shared = bench.get(&guest, "me/drive/sharedWithMe").await;
    assert_eq!(shared.text("/value/0/name"), "shelf");
    let (there, item) =
        (shared.text("/value/0/remoteItem/parentReference/driveId"), shared.text("/value/0/remoteItem/id"));
    assert_eq!(there, drive.id());
    let below = bench.get(&guest, &format!("drives/{there}/items/{item}/children")).await;
    assert_eq!(below.text("/value/0/name"), "book");
    assert_eq!(bench.get(&owner, "me/drive/sharedWithMe").await.body["value"], json!([]));
}

#[tokio::test]
async fn section_1_1_the_drive_of_a_group_is_a_library_of_its_site() {
    let (bench, _, token) = Bench::with_drive(&plain(0, 0)).await;
    let library =
        bench.sim.create_drive(&DriveSpec { kind: DriveKind::DocumentLibrary, ..plain(1, 0) }).unwrap();
    let group = bench.get(&token, "groups").await.text("/value/0/id").to_owned();
    assert_eq!(bench.get(&token, &format!("groups/{group}")).await.text("/id"), group);
    assert_eq!(bench.get(&token, &format!("groups/{group}/drive")).await.text("/id"), library.id());
    let drives = bench.get(&token, &format!("groups/{group}/drives")).await;
    assert_eq!(drives.text("/value/0/id"), library.id());
    let feed = bench.get(&token, &format!("groups/{group}/drive/root/delta")).await;
    assert_eq!(feed.body["value"].as_array().unwrap().len(), 2);
    assert_eq!(bench.get(&token, "groups/nobody/drive").await.status, 404);
}
