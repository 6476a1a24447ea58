//! §1.1, §3, §4, §7, §8, §9.5: habits of the service that are rare, or that few clients meet.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Change, DriveKind, Fault, FaultKind, QuotaTold};

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
