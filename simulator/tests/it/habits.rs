//! §1 to §5, §7, §8, §9.5, §12: habits of the service that are rare, or that few clients meet.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{
    CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Change, DriveKind, DriveSpec, FIRST_USER, Fault,
    FaultKind, NoDrive, PUBLIC_CLIENT_ID, QuotaTold, Rotation,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{Answer, Bench, plain};
use crate::subscriptions::Receiver;

fn create(name: &str, size: u64) -> Change {
    Change::CreateFile { parent: "/".to_owned(), name: name.to_owned(), size }
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["value"].as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn section_1_1_quota_may_be_absent_or_zero() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    assert!(bench.get(&token, "me/drive").await.body["quota"]["total"].as_u64().unwrap() > 0);
    bench.sim.switch(|switches| switches.graph.quota_told = QuotaTold::Zero);
    let zero = bench.get(&token, "me/drive").await;
    assert_eq!((&zero.body["quota"]["total"], &zero.body["quota"]["remaining"]), (&json!(0), &json!(0)));
    bench.sim.switch(|switches| switches.graph.quota_told = QuotaTold::Absent);
    assert!(bench.get(&token, "me/drive").await.body.get("quota").is_none());
}

#[tokio::test]
async fn section_3_children_are_ordered_and_filtered_by_name_only_except_on_personal_drives() {
    for kind in [DriveKind::Business, DriveKind::Personal] {
        let (bench, drive, token) = Bench::writable(kind).await;
        for (name, size) in [("b", 3), ("a", 2), ("O'x", 1)] {
            drive.apply(&create(name, size)).unwrap();
        }
        let list = async |query: &str| bench.get(&token, &format!("me/drive/root/children?{query}")).await;
        assert_eq!(names(&list("$orderby=name").await), ["a", "b", "O'x"]);
        assert_eq!(names(&list("$orderby=url%20desc&$top=2").await), ["O'x", "b"]);
        assert_eq!(names(&list("$filter=name%20eq%20'A'").await), ["a"]);
        assert_eq!(names(&list("$filter=startswith(name,'o''')").await), ["O'x"]);
        let first = list("$filter=startswith(name,'')&$orderby=name&$top=2&$select=name").await;
        assert_eq!(names(&first), ["a", "b"]);
        let rest = bench.get(&token, first.text("/@odata.nextLink")).await;
        assert_eq!(names(&rest), ["O'x"]);
        assert!(rest.body["value"][0].get("size").is_none());
        let by_size = list("$orderby=size%20desc").await;
        if kind == DriveKind::Personal {
            assert_eq!(names(&by_size), ["b", "a", "O'x"]);
        } else {
            assert_eq!((by_size.status, by_size.text("/error/code")), (400, "invalidRequest"));
        }
        assert_eq!(list("$filter=size%20gt%201").await.status, 400);
    }
}

#[tokio::test]
async fn section_3_the_state_of_a_copy_may_end_with_303() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&create("a", 3)).unwrap();
    bench.sim.switch(|switches| switches.graph.copy_ends_with_303 = true);
    let path = format!("me/drive/items/{id}/copy");
    let accepted = bench.call("POST", &token, &path, &json!({"name": "b"})).await;
    let done = bench.send(bench.http.get(accepted.header("location").unwrap())).await;
    assert_eq!((done.status, done.text("/status")), (303, "completed"));
    let copy = bench.get(&token, done.header("location").unwrap()).await;
    assert_eq!((copy.text("/name"), copy.text("/id")), ("b", done.text("/resourceId")));
}

#[tokio::test]
async fn section_4_1_a_content_can_be_converted_to_pdf() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("a.docx", 3)).unwrap();
    let way = bench.get(&token, &format!("me/drive/items/{id}/content?format=pdf")).await;
    let pdf = bench.http.get(way.header("location").unwrap()).send().await.unwrap();
    assert_eq!(
        (pdf.status().as_u16(), &pdf.headers()["content-type"]),
        (200, &"application/pdf".parse().unwrap())
    );
    assert!(pdf.bytes().await.unwrap().starts_with(b"%PDF-"));
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}/content?format=xyz")).await.status, 400);
}

#[tokio::test]
async fn section_4_4_a_download_may_be_a_file_that_says_what_went_wrong() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("a.docx", 100_000)).unwrap();
    bench.sim.faults().add(Fault::new(FaultKind::ErrorFile).times(1));
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let link = item.text("/@microsoft.graph.downloadUrl");
    let odd = bench.http.get(link).send().await.unwrap();
    assert_eq!(odd.status().as_u16(), 200);
    assert!(odd.headers()["content-disposition"].to_str().unwrap().ends_with("_Error.txt"));
    assert!(odd.text().await.unwrap().starts_with("The attempted operation is prohibited"));
    assert_eq!(bench.content(&token, &id).await.len(), 100_000);
}

#[tokio::test]
async fn section_7_bytes_per_hour_are_limited_in_both_directions() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let id = drive.apply(&create("a", 600)).unwrap();
    bench.sim.switch(|switches| {
        switches.limits.ingress_bytes_per_hour = Some(1_000);
        switches.limits.egress_bytes_per_hour = Some(1_000);
    });
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let link = item.text("/@microsoft.graph.downloadUrl").to_owned();
    let download = async |range: &str| bench.send(bench.http.get(&link).header("Range", range)).await;
    assert_eq!(download("bytes=0-599").await.status, 206);
    assert_eq!(download("bytes=0-399").await.status, 206);
    let refused = download("bytes=0-0").await;
    assert_eq!((refused.status, refused.text("/error/code")), (429, "activityLimitReached"));
    let wait = refused.header("retry-after").unwrap().parse().unwrap();
    bench.sim.clock().advance(Duration::from_secs(wait));
    assert_eq!(download("bytes=0-0").await.status, 206);
    assert_eq!(bench.put(&token, "me/drive/root:/b:/content", &[0; 900]).await.status, 201);
    let session = bench.call("POST", &token, "me/drive/root:/c:/createUploadSession", &json!({})).await;
    let chunk = || {
        let request = bench.http.put(session.text("/uploadUrl")).header("Content-Range", "bytes 0-199/200");
        bench.send(request.body(vec![1; 200]))
    };
    let refused = chunk().await;
    assert_eq!(refused.status, 429);
    let wait = refused.header("retry-after").unwrap().parse().unwrap();
    bench.sim.clock().advance(Duration::from_secs(wait));
    // The longest wait that is told is shorter than what the hour lacks.
    let mut last = chunk().await;
    for _ in 0..3 {
        if last.status != 429 {
            break;
        }
        bench.sim.clock().advance(Duration::from_mins(5));
        last = chunk().await;
    }
    assert_eq!(last.status, 201);
}

#[tokio::test]
async fn section_8_permissions_are_told_to_subscribers_of_business_drives_who_prefer_it() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("a", 3)).unwrap();
    let (with, without) = (Receiver::default(), Receiver::default());
    for (receiver, preference) in [(&with, "includesecuritywebhooks"), (&without, "nothing")] {
        let body = json!({"changeType": "updated", "notificationUrl": receiver.listen().await,
            "resource": format!("drives/{}/root", drive.id()), "expirationDateTime": "2027-01-16T08:00:00Z"});
        let request = bench.http.post(bench.address("subscriptions")).bearer_auth(&token).json(&body);
        assert_eq!(bench.send(request.header("Prefer", preference)).await.status, 201);
    }
    drive.apply(&Change::Share { item: id }).unwrap();
    with.wait(1).await;
    drive.apply(&create("b", 3)).unwrap();
    with.wait(2).await;
    assert_eq!(without.wait(1).await.len(), 1);
}

#[tokio::test]
async fn section_9_5_paths_can_be_written_as_in_the_cloud_in_china() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    drive.apply(&Change::Mkdir { parent: "/".into(), name: "a b".into() }).unwrap();
    let id = drive.apply(&Change::CreateFile { parent: "/a b".into(), name: "c#d".into(), size: 7 }).unwrap();
    let by_path = |rest: &str| format!("me/drive/items/root/children('@a1'){rest}?@a1=%27a%20b%2Fc%23d%27");
    let found = bench.get(&token, &by_path("")).await;
    assert_eq!((found.status, found.body.get("id")), (200, Some(&Value::from(id.as_str()))));
    assert_eq!(bench.get(&token, &by_path("/content")).await.status, 302);
    assert_eq!(bench.get(&token, "me/drive/items/root/children('@a1')").await.status, 400);
}

#[tokio::test]
async fn section_1_1_why_somebody_has_no_drive_is_told_in_three_ways() {
    let bench = Bench::new().await;
    let token = bench.token().await;
    for (why, status, text) in [
        (NoDrive::NotFound, 404, "User's mysite not found."),
        (NoDrive::NoAddress, 404, "Unable to retrieve user's mysite URL."),
        (NoDrive::NoLicence, 400, "Tenant does not have a SPO license."),
    ] {
        bench.sim.switch(|switches| switches.graph.no_drive = why);
        let refused = bench.get(&token, "me/drive").await;
        assert_eq!((refused.status, refused.text("/error/message")), (status, text));
    }
}

#[tokio::test]
async fn section_1_3_what_is_moved_or_copied_keeps_its_time_and_deleting_a_shortcut_nothing_else() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    let library =
        bench.sim.create_drive(&DriveSpec { kind: DriveKind::DocumentLibrary, ..plain(0, 0) }).unwrap();
    let target = library.apply(&Change::Mkdir { parent: "/".into(), name: "Shared".into() }).unwrap();
    let folder = drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
    let id = drive.apply(&create("a", 3)).unwrap();
    let time = async |id: &str| {
        let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
        item.text("/fileSystemInfo/lastModifiedDateTime").to_owned()
    };
    let before = time(&id).await;
    bench.sim.clock().advance(Duration::from_mins(10));
    let path = format!("me/drive/items/{id}");
    let moved = bench.call("PATCH", &token, &path, &json!({"parentReference": {"id": folder}})).await;
    assert_eq!((moved.status, time(&id).await), (200, before.clone()));
    let place = json!({"name": "b", "parentReference": {"driveId": drive.id(), "id": folder}});
    assert_eq!(bench.call("POST", &token, &format!("{path}/copy"), &place).await.status, 202);
    let copy = bench.get(&token, "me/drive/root:/f/b").await.text("/id").to_owned();
    assert_eq!(time(&copy).await, before);
    let (at, to) = (library.id().to_owned(), target.clone());
    let shortcut = Change::Shortcut { parent: "/".into(), name: "Link".into(), drive: at, target: to };
    let link = drive.apply(&shortcut).unwrap();
    assert_eq!(bench.call("DELETE", &token, &format!("me/drive/items/{link}"), &json!({})).await.status, 204);
    let there = bench.get(&token, &format!("drives/{}/items/{target}", library.id())).await;
    assert_eq!((there.status, there.text("/name")), (200, "Shared"));
}

#[tokio::test]
async fn section_1_3_composed_and_decomposed_letters_are_two_names() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    for name in ["\u{e9}", "e\u{301}"] {
        drive.apply(&create(name, 3)).unwrap();
    }
    assert_eq!(names(&bench.get(&token, "me/drive/root/children").await).len(), 2);
    assert_eq!(bench.get(&token, "me/drive/root:/e%CC%81").await.text("/name"), "e\u{301}");
}

#[tokio::test]
async fn section_2_1_the_feed_of_a_new_folder_may_be_404_for_a_while() {
    let (bench, _, token) = Bench::writable(DriveKind::Personal).await;
    bench.sim.switch(|switches| switches.graph.folder_delta_lag_milliseconds = 5_000);
    let body = json!({"name": "f", "folder": {}});
    let folder = bench.call("POST", &token, "me/drive/root/children", &body).await;
    let item = format!("me/drive/items/{}", folder.text("/id"));
    assert_eq!(bench.get(&token, &item).await.status, 200);
    let early = bench.get(&token, &format!("{item}/delta")).await;
    assert_eq!((early.status, early.text("/error/code")), (404, "itemNotFound"));
    bench.sim.clock().advance(Duration::from_secs(5));
    assert_eq!(bench.get(&token, &format!("{item}/delta")).await.status, 200);
}

#[tokio::test]
async fn section_2_6_deltashowremoteitemsaliasid_changes_nothing_by_itself() {
    let (bench, drive, token) = Bench::with_drive(&plain(2, 1)).await;
    let target = drive.walk()[0].id.clone();
    let at = drive.id().to_owned();
    let shortcut = Change::Shortcut { parent: "/".into(), name: "Link".into(), drive: at, target };
    drive.apply(&shortcut).unwrap();
    let listed = async |prefer: &str| {
        let request = bench.http.get(bench.address("me/drive/root/delta?$select=id,name,remoteItem"));
        bench.send(request.bearer_auth(&token).header("Prefer", prefer)).await.body["value"].clone()
    };
    let alone = listed("deltashowremoteitemsaliasid").await;
    assert_eq!(alone, listed("nothing").await);
    let shortcuts = listed("Include-Feature=AddToOneDrive").await;
    assert_eq!(shortcuts, listed("deltashowremoteitemsaliasid, Include-Feature=AddToOneDrive").await);
    assert_ne!(shortcuts, alone);
}

#[tokio::test]
async fn section_3_a_new_folder_may_be_answered_with_200_and_hidden_from_copies() {
    let (bench, drive, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| {
        switches.graph.mkdir_answers_200 = true;
        switches.graph.visibility_lag_milliseconds = 1_000;
    });
    let body = json!({"name": "f", "folder": {}});
    let folder = bench.call("POST", &token, "me/drive/root/children", &body).await;
    assert_eq!((folder.status, folder.text("/name")), (200, "f"));
    let again = bench.call("POST", &token, "me/drive/root/children", &body).await;
    assert_eq!((again.status, again.text("/error/code")), (409, "nameAlreadyExists"));
    let id = drive.apply(&create("a", 3)).unwrap();
    let place = json!({"parentReference": {"driveId": drive.id(), "id": folder.text("/id")}});
    let copy = async || bench.call("POST", &token, &format!("me/drive/items/{id}/copy"), &place).await;
    let early = copy().await;
    let text = "Failed to verify the existence of destination location";
    assert_eq!((early.status, early.text("/error/message")), (404, text));
    bench.sim.clock().advance(Duration::from_secs(1));
    assert_eq!(copy().await.status, 202);
}

#[tokio::test]
async fn section_4_3_a_range_without_accept_may_be_416() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("a", 100)).unwrap();
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let link = item.text("/@microsoft.graph.downloadUrl");
    let address = link.strip_prefix("http://").unwrap();
    let (host, path) = address.split_once('/').unwrap();
    // By hand: every HTTP client sends `Accept` by itself.
    let ask = async |head: &str| {
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().to_owned()
    };
    let range = "Range: bytes=0-9\r\n";
    assert_eq!(ask(range).await, "206");
    bench.sim.switch(|switches| switches.graph.range_needs_accept = true);
    assert_eq!(ask(range).await, "416");
    assert_eq!(ask(&format!("{range}Accept: */*\r\n")).await, "206");
    assert_eq!(ask("").await, "200");
}

#[tokio::test]
async fn section_4_4_an_infected_file_is_given_to_whom_wants_it_all_the_same() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&create("a.exe", 100)).unwrap();
    drive.apply(&Change::Infect { item: id.clone() }).unwrap();
    let way = async |query: &str| bench.get(&token, &format!("me/drive/items/{id}/content{query}")).await;
    assert_eq!(way("").await.status, 403);
    let found = way("?AVOverride=1").await;
    let content = bench.http.get(found.header("location").unwrap()).send().await.unwrap();
    assert_eq!((content.status().as_u16(), content.bytes().await.unwrap().len()), (200, 100));
}

#[tokio::test]
async fn section_5_1_an_upload_into_what_may_only_be_read_is_404_on_personal_drives() {
    for (kind, status) in [(DriveKind::Personal, 404), (DriveKind::Business, 403)] {
        let (bench, drive, _) = Bench::writable(kind).await;
        let folder = drive.apply(&Change::Mkdir { parent: "/".into(), name: "f".into() }).unwrap();
        drive.apply(&Change::Share { item: folder.clone() }).unwrap();
        let guest = bench.sim.users()[1].upn.clone();
        let token = bench.token_of(&guest, "Files.ReadWrite.All offline_access").await;
        let item = format!("drives/{}/items/{folder}", drive.id());
        assert_eq!(bench.get(&token, &item).await.status, 200);
        assert_eq!(bench.put(&token, &format!("{item}:/a:/content"), b"abc").await.status, status);
        let session = format!("{item}:/a:/createUploadSession");
        assert_eq!(bench.call("POST", &token, &session, &json!({})).await.status, 403);
    }
}

#[tokio::test]
async fn section_5_2_what_a_session_received_counts_to_the_quota_until_it_ends() {
    let (bench, _, token) = Bench::writable(DriveKind::Business).await;
    bench.sim.switch(|switches| switches.graph.quota_bytes = 1_000_000);
    let begin = async |name: &str| {
        let path = format!("me/drive/root:/{name}:/createUploadSession");
        bench.call("POST", &token, &path, &json!({})).await.text("/uploadUrl").to_owned()
    };
    let send = async |session: &str, range: &str, length: usize| {
        let request = bench.http.put(session).header("Content-Range", range.to_owned());
        bench.send(request.body(vec![1; length])).await.status
    };
    let first = begin("a").await;
    assert_eq!(send(&first, "bytes 0-655359/900000", 655_360).await, 202);
    assert_eq!(bench.put(&token, "me/drive/root:/b:/content", &vec![0; 400_000]).await.status, 507);
    assert_eq!(send(&first, "bytes 655360-899999/900000", 244_640).await, 201);
    let second = begin("c").await;
    assert_eq!(send(&second, "bytes 0-327679/400000", 327_680).await, 202);
    assert_eq!(bench.put(&token, "me/drive/root:/b:/content", &vec![0; 50_000]).await.status, 507);
    bench.sim.clock().advance(Duration::from_mins(15));
    assert_eq!(bench.put(&token, "me/drive/root:/b:/content", &vec![0; 50_000]).await.status, 201);
}

#[tokio::test]
async fn section_7_a_user_may_ask_for_so_many_tokens_in_five_minutes() {
    let bench = Bench::new().await;
    let refresh =
        bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER).unwrap();
    bench.sim.switch(|switches| {
        switches.tokens.rotation = Rotation::Strict;
        switches.limits.licences = Some(1_000);
        switches.limits.user_token_requests_per_five_minutes = Some(1);
    });
    let first = bench.refresh(&refresh).await;
    let next = first.text("/refresh_token");
    let refused = bench.refresh(next).await;
    assert_eq!((refused.status, refused.text("/error")), (429, "temporarily_unavailable"));
    let wait = refused.header("retry-after").unwrap().parse().unwrap();
    bench.sim.clock().advance(Duration::from_secs(wait));
    // The token was not used up.
    assert_eq!(bench.refresh(next).await.status, 200);
}

#[tokio::test]
async fn section_9_5_a_token_of_one_cloud_is_nothing_in_another() {
    let (global, _, token) = Bench::with_drive(&plain(1, 0)).await;
    let (national, _, _) = Bench::with_drive(&plain(1, 0)).await;
    assert_eq!(global.get(&token, "me/drive").await.status, 200);
    let refused = national.get(&token, "me/drive").await;
    assert_eq!((refused.status, refused.text("/error/code")), (401, "InvalidAuthenticationToken"));
}

#[tokio::test]
async fn section_12_no_application_acts_for_itself_on_a_personal_drive() {
    for (kind, status) in [(DriveKind::Business, 200), (DriveKind::Personal, 403)] {
        let (bench, drive, _) = Bench::with_drive(&DriveSpec { kind, ..plain(1, 0) }).await;
        let answer = bench
            .token_request(&[
                ("client_id", CONFIDENTIAL_CLIENT_ID),
                ("client_secret", CONFIDENTIAL_CLIENT_SECRET),
                ("grant_type", "client_credentials"),
                ("scope", "https://graph.microsoft.com/.default"),
            ])
            .await;
        let path = format!("drives/{}", drive.id());
        assert_eq!(bench.get(answer.text("/access_token"), &path).await.status, status);
    }
}
