//! §1.2, §1.3, §2, §4.4, §12: items that are neither plain files nor folders, and what personal drives do differently.

use std::time::Duration;

use serde_json::Value;
use simulator::{Change, DriveHandle, DriveKind, DriveSpec, Fault, FaultKind, MalwareAnswer};

use crate::bench::{Answer, Bench, Mirror, plain};

fn create(parent: &str, name: &str) -> Change {
    Change::CreateFile { parent: parent.to_owned(), name: name.to_owned(), size: 3 }
}

fn mkdir(parent: &str, name: &str) -> Change {
    Change::Mkdir { parent: parent.to_owned(), name: name.to_owned() }
}

async fn personal() -> (Bench, DriveHandle, String) {
    Bench::with_drive(&DriveSpec { kind: DriveKind::Personal, ..plain(0, 0) }).await
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["value"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn a_package_is_neither_file_nor_folder() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let change = Change::Package { parent: "/".into(), name: "Notes".into(), kind: "oneNote".into() };
    let id = drive.apply(&change).unwrap();
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    assert_eq!(item.text("/package/type"), "oneNote");
    assert!(item.body.get("file").is_none() && item.body.get("folder").is_none());
    assert!(item.body.get("@microsoft.graph.downloadUrl").is_none());
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}/content")).await.status, 400);
    assert_eq!(drive.lookup("/Notes").unwrap().facet, Some("package"));
}

#[tokio::test]
async fn an_infected_file_is_told_and_not_given_away() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a.exe")).unwrap();
    drive.apply(&Change::Infect { item: id.clone() }).unwrap();
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    assert!(item.body.get("malware").is_some());
    let link = item.text("/@microsoft.graph.downloadUrl").to_owned();
    let refused = bench.send(bench.http.get(&link)).await;
    assert_eq!((refused.status, refused.text("/error/code")), (403, "malwareDetected"));
    bench.sim.switch(|switches| switches.graph.malware = MalwareAnswer::Header);
    let refused = bench.send(bench.http.get(&link)).await;
    assert_eq!((refused.status, refused.header("x-virus-infected")), (403, Some("true")));
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}/content")).await.status, 403);
}

#[tokio::test]
async fn a_shortcut_is_listed_only_when_the_client_prefers_it() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let other =
        bench.sim.create_drive(&DriveSpec { kind: DriveKind::DocumentLibrary, ..plain(0, 0) }).unwrap();
    let target = other.apply(&mkdir("/", "Shared")).unwrap();
    let change = Change::Shortcut {
        parent: "/".into(),
        name: "Link".into(),
        drive: other.id().into(),
        target: target.clone(),
    };
    drive.apply(&change).unwrap();
    for path in ["me/drive/root/children", "me/drive/root/delta"] {
        let without = bench.get(&token, path).await;
        assert!(!names(&without).contains(&"Link"), "{path}");
        let request = bench.http.get(bench.address(path)).bearer_auth(&token);
        let with = bench.send(request.header("Prefer", "foo, Include-Feature=AddToOneDrive")).await;
        let items = with.body["value"].as_array().unwrap();
        let link = items.iter().find(|item| item["name"] == "Link").unwrap();
        assert_eq!(link["remoteItem"]["id"], target.as_str());
        assert_eq!(link["remoteItem"]["parentReference"]["driveId"], other.id());
        assert!(link["remoteItem"].get("folder").is_some() && link.get("folder").is_none());
    }
    bench.sim.switch(|switches| switches.graph.remote_item_requires_prefer = false);
    assert_eq!(names(&bench.get(&token, "me/drive/root/children").await), ["Link"]);
}

#[tokio::test]
async fn what_is_in_a_locked_vault_looks_deleted() {
    let (bench, drive, token) = personal().await;
    let vault = drive.apply(&Change::Vault { name: "Personal Vault".into() }).unwrap();
    let id = drive.apply(&create("/Personal Vault", "secret")).unwrap();
    let (pages, link) = bench.drain(&token, "me/drive/root/delta").await;
    let mut mirror = Mirror::default();
    mirror.apply(&pages);
    assert!(mirror.items.contains_key(&id));
    let item = bench.get(&token, &format!("me/drive/items/{vault}")).await;
    assert!(item.body.get("folder").is_none() && item.body.get("webUrl").is_none());
    assert_eq!(item.body["size"], 0);
    drive.apply(&Change::LockVault { item: vault.clone(), locked: true }).unwrap();
    let children = bench.get(&token, &format!("me/drive/items/{vault}/children")).await;
    assert_eq!((children.status, children.text("/error/message")), (400, "ObjectHandle is Invalid"));
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}")).await.status, 404);
    let (pages, link) = bench.drain(&token, &link).await;
    mirror.apply(&pages);
    assert!(!mirror.items.contains_key(&id) && mirror.items.contains_key(&vault));
    drive.apply(&Change::LockVault { item: vault, locked: false }).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    mirror.apply(&pages);
    assert!(mirror.items.contains_key(&id));
}

#[tokio::test]
async fn a_folder_of_a_personal_drive_has_a_feed_of_its_own() {
    let (bench, drive, token) = personal().await;
    let folder = drive.apply(&mkdir("/", "f")).unwrap();
    let inside = drive.apply(&create("/f", "inside")).unwrap();
    drive.apply(&create("/", "outside")).unwrap();
    let start = format!("me/drive/items/{folder}/delta");
    let (pages, link) = bench.drain(&token, &start).await;
    let mut mirror = Mirror::default();
    mirror.apply(&pages);
    assert_eq!(mirror.items.keys().collect::<Vec<_>>(), {
        let mut expected = vec![&folder, &inside];
        expected.sort();
        expected
    });
    drive.apply(&Change::Move { item: "/outside".into(), parent: "/f".into(), name: None }).unwrap();
    let (pages, link) = bench.drain(&token, &link).await;
    mirror.apply(&pages);
    assert_eq!(mirror.items.len(), 3);
    drive.apply(&Change::Move { item: inside.clone(), parent: "/".into(), name: None }).unwrap();
    drive.apply(&Change::Delete { item: "/f/outside".into() }).unwrap();
    let (pages, _) = bench.drain(&token, &link).await;
    mirror.apply(&pages);
    assert_eq!(mirror.items.keys().collect::<Vec<_>>(), [&folder]);
    assert!(bench.sim.violations().is_empty());
}

#[tokio::test]
async fn a_folder_of_a_business_drive_has_no_feed() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let folder = drive.apply(&mkdir("/", "f")).unwrap();
    let refused = bench.get(&token, &format!("me/drive/items/{folder}/delta")).await;
    let message = "Change tracking is not supported against 'microsoft.graph.driveItem'.";
    assert_eq!((refused.status, refused.text("/error/message")), (400, message));
}

#[tokio::test]
async fn a_time_is_a_token_for_business_drives_only() {
    for (kind, status) in [(DriveKind::Business, 200), (DriveKind::Personal, 400)] {
        let (bench, drive, token) = Bench::with_drive(&DriveSpec { kind, ..plain(5, 0) }).await;
        bench.sim.clock().advance(Duration::from_secs(100));
        drive.apply(&create("/", "new")).unwrap();
        // The clock of the bench began at 2027-01-15T08:00:00Z.
        let answer = bench.get(&token, "me/drive/root/delta?token=2027-01-15T08%3A00%3A50Z").await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 200 {
            assert_eq!(names(&answer), ["root", "new"]);
            let before = bench.get(&token, "me/drive/root/delta?token=2020-01-01T00:00:00Z").await;
            assert_eq!(names(&before).len(), 7);
        }
    }
}

#[tokio::test]
async fn personal_drives_tell_milliseconds_and_change_the_ctag_of_folders() {
    let (bench, drive, token) = personal().await;
    let folder = drive.apply(&mkdir("/", "f")).unwrap();
    let path = format!("me/drive/items/{folder}");
    let before = bench.get(&token, &path).await;
    assert_eq!(before.text("/lastModifiedDateTime").len(), "2027-01-15T08:00:00.000Z".len());
    drive.apply(&create("/f", "a")).unwrap();
    let after = bench.get(&token, &path).await;
    assert_ne!(before.body["cTag"], after.body["cTag"]);
    assert_eq!(before.body["eTag"], after.body["eTag"]);
}

#[tokio::test]
async fn the_id_of_a_personal_drive_may_lose_zeros_and_change_case() {
    let (bench, drive, token) = personal().await;
    let item = drive.apply(&create("/", "a")).unwrap();
    let told = async || {
        let answer = bench.get(&token, &format!("me/drive/items/{item}")).await;
        answer.text("/parentReference/driveId").to_owned()
    };
    assert_eq!(told().await, drive.id());
    bench.sim.switch(|switches| switches.graph.truncate_drive_id = true);
    let short = told().await;
    assert!(short.len() < 16 && drive.id().ends_with(&short));
    assert_eq!(bench.get(&token, &format!("drives/{short}")).await.text("/id"), drive.id());
    bench.sim.switch(|switches| switches.graph.mixed_case_drive_id = true);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        seen.insert(told().await);
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn changes_may_be_told_late() {
    let (bench, drive, token) = Bench::with_drive(&plain(3, 0)).await;
    bench.sim.switch(|switches| switches.delta.lag_seconds = 30);
    let (pages, link) = bench.drain(&token, "me/drive/root/delta").await;
    assert_eq!(pages[0].len(), 4, "what the drive began with is told at once");
    let id = drive.apply(&create("/", "late")).unwrap();
    let (pages, link) = bench.drain(&token, &link).await;
    assert!(pages[0].is_empty());
    bench.sim.clock().advance(Duration::from_secs(30));
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(pages[0].last().unwrap()["id"], id.as_str());
}

#[tokio::test]
async fn tombstones_may_lack_their_facet_or_carry_a_bogus_hash() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a")).unwrap();
    let (_, link) = bench.drain(&token, "me/drive/root/delta").await;
    drive.apply(&Change::Delete { item: id.clone() }).unwrap();
    let last =
        async || bench.get(&token, &link).await.body["value"].as_array().unwrap().last().unwrap().clone();
    bench.sim.switch(|switches| switches.delta.bogus_hash_on_delete = true);
    let bogus: Value = last().await;
    assert!(bogus.pointer("/file/hashes/quickXorHash").is_some() && bogus.get("deleted").is_some());
    bench.sim.switch(|switches| {
        switches.delta.bogus_hash_on_delete = false;
        switches.delta.delete_without_facet = true;
    });
    let bare = last().await;
    assert!(bare["id"] == id.as_str() && bare.get("deleted").is_none() && bare.get("name").is_none());
}

#[tokio::test]
async fn section_1_3_times_may_mean_nothing_be_null_or_be_absent() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    for name in ["a", "b", "c", "d"] {
        drive.apply(&create("/", name)).unwrap();
    }
    bench.sim.faults().add(Fault::new(FaultKind::InvalidTimestamps));
    let listed = bench.get(&token, "me/drive/root/children").await;
    let mut told = Vec::new();
    for item in listed.body["value"].as_array().unwrap() {
        let time = item.get("lastModifiedDateTime");
        assert_eq!(time, item["fileSystemInfo"].get("lastModifiedDateTime"));
        told.push(time.map_or("absent".to_owned(), Value::to_string));
    }
    told.sort();
    assert_eq!(told, ["\"0001-01-01T00:00:00Z\"", "\"9999-12-31T23:59:59Z\"", "absent", "null"]);
}

#[tokio::test]
async fn names_may_be_encoded() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a b.txt")).unwrap();
    let path = format!("me/drive/items/{id}");
    bench.sim.switch(|switches| switches.graph.url_encoded_names = true);
    assert_eq!(bench.get(&token, &path).await.text("/name"), "a%20b.txt");
}

#[tokio::test]
async fn paths_can_be_made_to_mind_the_case() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    drive.apply(&create("/", "Abc")).unwrap();
    assert_eq!(bench.get(&token, "me/drive/root:/abc").await.text("/name"), "Abc");
    bench.sim.switch(|switches| switches.graph.case_insensitive_paths = false);
    assert_eq!(bench.get(&token, "me/drive/root:/abc").await.status, 404);
    assert_eq!(bench.get(&token, "me/drive/root:/Abc").await.status, 200);
}

#[tokio::test]
async fn the_download_link_may_come_under_another_name_and_children_can_be_expanded() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a")).unwrap();
    bench.sim.switch(|switches| switches.graph.select_download_url_key = true);
    let item = bench.get(&token, &format!("me/drive/items/{id}?select=id,content.downloadUrl")).await;
    assert!(item.text("/@content.downloadUrl").contains("sim-dl-"));
    assert!(item.body.get("@microsoft.graph.downloadUrl").is_none());
    let root = bench.get(&token, "me/drive/root?$expand=children").await;
    assert_eq!(root.text("/children/0/id"), id);
}

#[tokio::test]
async fn links_of_an_earlier_simulator_are_not_honoured_and_not_held_against_the_client() {
    let (earlier, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let (pages, delta) = earlier.drain(&token, "me/drive/root/delta").await;
    let download = pages[0][1]["@microsoft.graph.downloadUrl"].as_str().unwrap().to_owned();
    let (later, same, token) = Bench::with_drive(&plain(1, 0)).await;
    assert_eq!(same.id(), drive.id());
    let moved = |link: &str| {
        let path = link.splitn(4, '/').last().unwrap();
        format!("{}/{path}", later.sim.graph())
    };
    assert_eq!(later.get(&token, &moved(&delta)).await.status, 410);
    assert_eq!(later.send(later.http.get(moved(&download))).await.status, 401);
    assert!(later.sim.violations().is_empty(), "{:?}", later.sim.violations());
}
