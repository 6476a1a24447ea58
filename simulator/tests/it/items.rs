//! §1, §3, §6: drives, items, children, errors.

use simulator::{Change, DriveKind, DriveSpec, SECOND_USER};

use crate::bench::{Bench, plain};

fn create(parent: &str, name: &str, size: u64) -> Change {
    Change::CreateFile { parent: parent.to_owned(), name: name.to_owned(), size }
}

#[tokio::test]
async fn a_drive_tells_kind_owner_and_quota() {
    let (bench, drive, token) = Bench::with_drive(&plain(20, 3)).await;
    let mine = bench.get(&token, "me/drive").await;
    let by_id = bench.get(&token, &format!("drives/{}", drive.id())).await;
    assert_eq!(mine.body, by_id.body);
    assert_eq!(mine.text("/driveType"), "business");
    assert_eq!(mine.text("/id"), drive.id());
    assert_eq!(mine.body["quota"]["used"], drive.total_bytes());
    assert!(mine.headers.contains_key("request-id") && mine.headers.contains_key("date"));
}

#[tokio::test]
async fn the_root_is_found_in_every_form() {
    let (bench, drive, token) = Bench::with_drive(&plain(5, 1)).await;
    let root = bench.get(&token, "me/drive/root").await;
    assert!(root.body.get("root").is_some() && root.body.get("folder").is_some());
    assert_eq!(root.body["size"], drive.total_bytes());
    for path in ["items/root".to_owned(), format!("items/{}", root.text("/id")), "root:".to_owned()] {
        let same = bench.get(&token, &format!("drives/{}/{path}", drive.id())).await;
        assert_eq!(same.body["id"], root.body["id"], "{path}");
    }
}

#[tokio::test]
async fn an_item_is_found_by_encoded_path_without_regard_to_case() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "50% #1".into() }).unwrap();
    let id = drive.apply(&create("/50% #1", "a b%20é.txt", 3)).unwrap();
    let found = bench.get(&token, "me/drive/root:/50%25%20%231/A%20B%2520%C3%89.TXT").await;
    assert_eq!(found.text("/id"), id);
    assert_eq!(found.text("/name"), "a b%20é.txt");
    assert_eq!(
        found.text("/parentReference/path"),
        format!("/drives/{}/root:/50%25%20%231", drive.id().replace('!', "%21")).replace("%21", "!")
    );
    assert_eq!(bench.get(&token, "me/drive/root:/50%25%20%231/none").await.status, 404);
}

#[tokio::test]
async fn a_file_has_hash_tags_times_and_a_link() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a.txt", 1_000)).unwrap();
    let path = format!("me/drive/items/{id}");
    let first = bench.get(&token, &path).await;
    let entry = drive.lookup(&id).unwrap();
    assert_eq!(first.body.pointer("/file/hashes/quickXorHash").unwrap().as_str(), entry.quick_xor.as_deref());
    assert_eq!(first.text("/file/mimeType"), "text/plain");
    assert!(first.text("/@microsoft.graph.downloadUrl").contains("sim-dl-"));
    assert!(first.text("/fileSystemInfo/lastModifiedDateTime").ends_with('Z'));
    drive.apply(&Change::Rename { item: id.clone(), name: "b.txt".into() }).unwrap();
    let renamed = bench.get(&token, &path).await;
    assert_ne!(renamed.body["eTag"], first.body["eTag"]);
    assert_eq!(renamed.body["cTag"], first.body["cTag"]);
    drive.apply(&Change::Edit { item: id, size: None }).unwrap();
    let edited = bench.get(&token, &path).await;
    assert_ne!(edited.body["cTag"], first.body["cTag"]);
    assert_ne!(edited.body.pointer("/file/hashes"), first.body.pointer("/file/hashes"));
}

#[tokio::test]
async fn an_empty_file_has_no_hash_and_a_folder_of_a_business_drive_no_ctag() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let file = drive.apply(&create("/", "empty.txt", 0)).unwrap();
    let folder = drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
    let file = bench.get(&token, &format!("me/drive/items/{file}")).await;
    assert!(file.body.pointer("/file/hashes").is_none());
    assert!(file.body.get("@microsoft.graph.downloadUrl").is_some());
    let folder = bench.get(&token, &format!("me/drive/items/{folder}")).await;
    assert!(folder.body.get("cTag").is_none() && folder.body.get("eTag").is_some());
}

#[tokio::test]
async fn a_known_version_is_304() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a", 1)).unwrap();
    let address = bench.address(&format!("me/drive/items/{id}"));
    let first = bench.get(&token, &address).await;
    let request = bench.http.get(&address).bearer_auth(&token).header("If-None-Match", first.text("/eTag"));
    assert_eq!(bench.send(request).await.status, 304);
}

#[tokio::test]
async fn select_keeps_what_was_asked_for() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("/", "a", 1)).unwrap();
    let answer =
        bench.get(&token, &format!("me/drive/items/{id}?$select=id,size,@microsoft.graph.downloadUrl")).await;
    let mut names: Vec<&str> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["@microsoft.graph.downloadUrl", "@odata.context", "id", "size"]);
}

#[tokio::test]
async fn children_come_in_pages_and_skip_is_refused() {
    let (bench, drive, token) = Bench::with_drive(&plain(7, 0)).await;
    let mut next = "me/drive/root/children?$top=3&$orderby=name".to_owned();
    let mut names = Vec::new();
    let mut pages = 0;
    loop {
        let page = bench.get(&token, &next).await;
        assert_eq!(page.status, 200, "{}", page.body);
        pages += 1;
        names.extend(
            page.body["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page.body.get("@odata.nextLink") {
            Some(link) => next = link.as_str().unwrap().to_owned(),
            None => break,
        }
    }
    let mut expected: Vec<String> = drive.walk().into_iter().map(|entry| entry.path.concat()).collect();
    expected.sort();
    assert_eq!((pages, names), (3, expected));
    assert_eq!(bench.get(&token, "me/drive/root/children?$skip=1").await.status, 400);
}

#[tokio::test]
async fn personal_drives_have_their_own_shapes() {
    let spec = DriveSpec { kind: DriveKind::Personal, ..plain(0, 0) };
    let (bench, drive, token) = Bench::with_drive(&spec).await;
    let id = drive.apply(&create("/", "a", 1)).unwrap();
    assert_eq!(drive.id().len(), 16);
    let item = bench.get(&token, &format!("drives/{}/items/{id}", drive.id().to_uppercase())).await;
    assert_eq!(item.text("/parentReference/driveType"), "personal");
    assert!(item.text("/id").contains('!') && item.body.get("cTag").is_some());
}

#[tokio::test]
async fn a_drive_of_somebody_else_is_denied() {
    let (bench, drive, _) = Bench::with_drive(&plain(1, 0)).await;
    let other = bench.token_of(SECOND_USER, "Files.Read.All offline_access").await;
    let denied = bench.get(&other, &format!("drives/{}", drive.id())).await;
    assert_eq!((denied.status, denied.text("/error/code")), (403, "accessDenied"));
    assert_eq!(bench.get(&other, "me/drive").await.status, 404);
}

#[tokio::test]
async fn a_token_without_a_scope_for_files_is_denied() {
    let (bench, _, _) = Bench::with_drive(&plain(1, 0)).await;
    let token = bench.token_of(simulator::FIRST_USER, "User.Read offline_access").await;
    assert_eq!(bench.get(&token, "me/drive").await.status, 403);
}

#[tokio::test]
async fn missing_unknown_and_expired_tokens_are_401_with_a_challenge() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    let missing = bench.send(bench.http.get(bench.address("me/drive"))).await;
    assert_eq!((missing.status, missing.text("/error/code")), (401, "InvalidAuthenticationToken"));
    assert!(missing.header("www-authenticate").unwrap().starts_with("Bearer realm=\"\""));
    assert_eq!(bench.get("sim-at-nonsense", "me/drive").await.status, 401);
    bench.sim.clock().advance(std::time::Duration::from_hours(1));
    let expired = bench.get(&token, "me/drive").await;
    assert_eq!((expired.status, expired.text("/error/code")), (401, "InvalidAuthenticationToken"));
    assert!(expired.body.pointer("/error/innerError/request-id").is_some());
}

#[tokio::test]
async fn unknown_addresses_are_400_and_unknown_methods_405() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    let post = bench.call("POST", &token, "me/drive/root/delta", &serde_json::json!({})).await;
    assert_eq!((post.status, post.text("/error/code")), (405, "notSupported"));
    assert_eq!(bench.get(&token, "planets/mars").await.status, 400);
}
