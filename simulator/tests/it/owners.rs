//! §1.1, §3: whose drive it is: people, sites, sharing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use simulator::{Change, DriveKind, DriveSpec, FIRST_USER, SECOND_USER};

use crate::bench::{Answer, Bench, plain};

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn people_have_a_name_a_drive_and_a_list_of_drives() {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    assert_eq!(bench.get(&token, "me").await.text("/userPrincipalName"), FIRST_USER);
    assert_eq!(bench.get(&token, &format!("users/{FIRST_USER}/drive")).await.text("/id"), drive.id());
    assert_eq!(ids(&bench.get(&token, "me/drives").await), [drive.id()]);
    assert_eq!(bench.get(&token, "users/nobody@contoso.example").await.status, 404);
    assert_eq!(bench.get(&token, &format!("users/{SECOND_USER}/drive")).await.status, 404);
}

#[tokio::test]
async fn a_personal_account_may_list_drives_that_cannot_be_opened() {
    let spec = DriveSpec { kind: DriveKind::Personal, ..plain(0, 0) };
    let (bench, drive, token) = Bench::with_drive(&spec).await;
    bench.sim.switch(|switches| switches.graph.phantom_drives = true);
    let listed = bench.get(&token, "me/drives").await;
    assert_eq!(ids(&listed).len(), 3);
    let phantom = ids(&listed).into_iter().find(|id| *id != drive.id()).unwrap();
    let refused = bench.get(&token, &format!("drives/{phantom}/root")).await;
    assert_eq!((refused.status, refused.text("/error/message")), (400, "ObjectHandle is Invalid"));
    assert_eq!(bench.get(&token, "me/drive").await.text("/id"), drive.id());
}

#[tokio::test]
async fn libraries_belong_to_a_site_that_is_found_by_search_path_and_id() {
    let bench = Bench::new().await;
    let own = bench.sim.create_drive(&plain(0, 0)).unwrap();
    let library = || DriveSpec { kind: DriveKind::DocumentLibrary, ..plain(0, 0) };
    let first = bench.sim.create_drive(&library()).unwrap();
    let second = bench.sim.create_drive(&library()).unwrap();
    let token = bench.token().await;
    let found = bench.get(&token, "sites?search=team").await;
    let id = ids(&found)[0].to_owned();
    assert!(id.starts_with("contoso.sharepoint.com,") && id.split(',').count() == 3);
    assert_eq!(ids(&bench.get(&token, "sites?search=*").await).len(), 2);
    let by_path = "sites/contoso.sharepoint.com:/sites/team";
    assert_eq!(bench.get(&token, by_path).await.text("/id"), id);
    assert_eq!(ids(&bench.get(&token, &format!("sites/{id}/drives")).await), [first.id(), second.id()]);
    assert_eq!(bench.get(&token, &format!("{by_path}:/drive")).await.text("/id"), first.id());
    assert_eq!(bench.get(&token, &format!("sites/{id}/drive/root")).await.status, 200);
    assert!(ids(&bench.get(&token, "sites/root/drives").await).is_empty());
    assert_eq!(bench.get(&token, "sites/contoso.sharepoint.com:/sites/none").await.status, 404);
    assert_eq!(ids(&bench.get(&token, "me/drives").await), [own.id()]);
}

#[tokio::test]
async fn a_shared_item_is_read_by_others_through_its_link_and_nothing_else_is() {
    let (bench, drive, owner) = Bench::writable(DriveKind::Business).await;
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "to all".into() }).unwrap();
    let id =
        drive.apply(&Change::CreateFile { parent: "/to all".into(), name: "a".into(), size: 3 }).unwrap();
    let secret = drive.apply(&Change::CreateFile { parent: "/".into(), name: "b".into(), size: 3 }).unwrap();
    let guest = bench.token_of(SECOND_USER, "Files.ReadWrite.All offline_access").await;
    let path = |id: &str| format!("drives/{}/items/{id}", drive.id());
    assert_eq!(bench.get(&guest, &path(&id)).await.status, 403);
    let folder = drive.lookup("/to all").unwrap().id;
    let link =
        bench.call("POST", &owner, &format!("{}/createLink", path(&folder)), &json!({"type": "view"})).await;
    assert_eq!(link.status, 201);
    let token = URL_SAFE_NO_PAD.encode(link.text("/link/webUrl"));
    let shared = bench.get(&guest, &format!("shares/u!{token}/driveItem")).await;
    assert_eq!((shared.text("/id"), shared.text("/shared/scope")), (folder.as_str(), "users"));
    let below = bench.get(&guest, &format!("shares/u!{token}/driveItem/children")).await;
    assert_eq!(ids(&below), [id.as_str()]);
    assert_eq!(bench.get(&guest, &path(&id)).await.status, 200);
    assert_eq!(bench.get(&guest, &path(&secret)).await.status, 403);
    assert_eq!(bench.get(&guest, &format!("drives/{}", drive.id())).await.status, 403);
    assert_eq!(bench.get(&guest, &format!("drives/{}/root/delta", drive.id())).await.status, 403);
    assert_eq!(bench.call("PATCH", &guest, &path(&id), &json!({"name": "x"})).await.status, 403);
    assert_eq!(bench.get(&guest, "shares/u!nonsense/driveItem").await.status, 400);
    let rights = bench.get(&owner, &format!("{}/permissions", path(&id))).await;
    assert_eq!(rights.body["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_folder_of_an_application_comes_into_being_and_keeps_its_id() {
    let (bench, drive, token) = Bench::writable(DriveKind::Personal).await;
    let made = bench.put(&token, "me/drive/special/approot:/a.txt:/content", b"1").await;
    assert_eq!(made.status, 201, "{}", made.body);
    let root = bench.get(&token, "me/drive/special/approot").await;
    assert_eq!(root.text("/specialFolder/name"), "approot");
    assert_eq!(made.text("/parentReference/id"), root.text("/id"));
    assert!(drive.lookup("/Apps").is_some());
    drive.apply(&Change::Rename { item: root.text("/id").into(), name: "Mine".into() }).unwrap();
    assert_eq!(bench.get(&token, "me/drive/special/approot").await.text("/name"), "Mine");
}

#[tokio::test]
async fn business_drives_know_fewer_special_folders() {
    for (kind, music) in [(DriveKind::Business, 400), (DriveKind::Personal, 200)] {
        let (bench, _, token) = Bench::writable(kind).await;
        assert_eq!(bench.get(&token, "me/drive/special/documents").await.text("/name"), "Documents");
        assert_eq!(bench.get(&token, "me/drive/special/photos").await.status, 200);
        assert_eq!(bench.get(&token, "me/drive/special/music").await.status, music);
    }
}
