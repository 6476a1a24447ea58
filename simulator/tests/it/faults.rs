//! §13: every fault does what it says, and only that.

use serde_json::Value;
use simulator::{
    BodyForm, Change, Endpoint, Fault, FaultKind, PUBLIC_CLIENT_ID, ResetMoment, ResyncBody, ResyncInner,
    ResyncLocation, RetryAfter, ViolationKind,
};

use crate::bench::{Bench, Mirror, plain, truth};

const START: &str = "me/drive/root/delta";

fn status(status: u16, body: BodyForm) -> Fault {
    Fault::new(FaultKind::Status { status, code: None, inner: None, body, retry_after: None })
}

async fn file(size: u64) -> (Bench, String, String, String) {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a.docx".into(), size }).unwrap();
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    let link = item.text("/@microsoft.graph.downloadUrl").to_owned();
    (bench, token, id, link)
}

#[tokio::test]
async fn a_status_has_the_body_that_was_asked_for_and_ends_after_its_count() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    for form in [BodyForm::Json, BodyForm::Html, BodyForm::Empty] {
        bench.sim.faults().add(status(503, form).on(Endpoint::Drive).times(1));
        let struck = bench.get(&token, "me/drive").await;
        assert_eq!(struck.status, 503);
        match form {
            BodyForm::Json => assert_eq!(struck.text("/error/code"), "serviceNotAvailable"),
            BodyForm::Html => assert!(struck.body.as_str().unwrap().starts_with("<html>")),
            BodyForm::Empty => assert_eq!(struck.body, ""),
        }
        assert_eq!(bench.get(&token, "me/drive").await.status, 200);
    }
    assert_eq!(bench.sim.counters().faults, 3);
}

#[tokio::test]
async fn skip_and_endpoint_and_drive_aim_a_fault() {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let other = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let mut fault = status(500, BodyForm::Json).on(Endpoint::Delta).times(1).skip(1);
    fault.drive = Some(other.id().to_owned());
    let id = bench.sim.faults().add(fault);
    let of = |drive: &str| format!("drives/{drive}/root/delta");
    assert_eq!(bench.get(&token, &of(drive.id())).await.status, 200);
    assert_eq!(bench.get(&token, &of(other.id())).await.status, 200);
    assert_eq!(bench.get(&token, &format!("drives/{}", other.id())).await.status, 200);
    assert_eq!(bench.get(&token, &of(other.id())).await.status, 500);
    assert_eq!(bench.get(&token, &of(other.id())).await.status, 200);
    assert_eq!(bench.sim.faults().list()[0].struck, 1);
    assert!(bench.sim.faults().remove(id) && !bench.sim.faults().remove(id));
}

#[tokio::test]
async fn a_probability_strikes_some_and_not_all() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.faults().add(status(502, BodyForm::Json).on(Endpoint::Drive).probability(0.5));
    for _ in 0..40 {
        bench.get(&token, "me/drive").await;
    }
    let statuses = bench.sim.counters().statuses;
    assert!(statuses[&502] > 5 && statuses[&502] < 35);
}

#[tokio::test]
async fn oauth_errors_carry_everything_that_was_asked_for() {
    let bench = Bench::new().await;
    bench.sim.faults().add(
        Fault::new(FaultKind::Oauth {
            status: 400,
            error: "interaction_required".into(),
            aadsts: 53_003,
            suberror: Some("message_only".into()),
            claims: Some("{\"access_token\":{}}".into()),
            retry_after: Some(RetryAfter::Seconds(7)),
        })
        .times(1),
    );
    let refresh =
        bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read", simulator::FIRST_USER).unwrap();
    let answer = bench.refresh(&refresh).await;
    assert_eq!((answer.status, answer.text("/error")), (400, "interaction_required"));
    assert_eq!((answer.text("/suberror"), answer.text("/claims")), ("message_only", "{\"access_token\":{}}"));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(bench.refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_fails_with_a_page_for_people() {
    let bench = Bench::new().await;
    bench.sim.faults().add(status(503, BodyForm::Html).on(Endpoint::Token).times(1));
    let answer = bench.refresh("x").await;
    assert!(answer.status == 503 && answer.body.as_str().unwrap().contains("<html>"));
}

#[tokio::test]
async fn a_reset_before_has_no_effect_and_a_reset_after_has() {
    let bench = Bench::new().await;
    let refresh =
        bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read", simulator::FIRST_USER).unwrap();
    for (moment, refreshes) in [(ResetMoment::Before, 0), (ResetMoment::After, 1)] {
        bench.sim.faults().add(Fault::new(FaultKind::ConnReset { moment }).on(Endpoint::Token).times(1));
        let address = format!("{}/common/oauth2/v2.0/token", bench.sim.authority());
        let fields =
            [("client_id", PUBLIC_CLIENT_ID), ("grant_type", "refresh_token"), ("refresh_token", &refresh)];
        assert!(bench.http.post(address).form(&fields).send().await.is_err());
        assert_eq!(bench.sim.counters().refreshes, refreshes);
    }
    assert_eq!(bench.refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn a_stall_holds_the_answer_back_until_the_client_gives_up() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 600_000 }).times(1));
    let request = bench.http.get(bench.address("me/drive")).bearer_auth(&token);
    let error = request.timeout(std::time::Duration::from_millis(200)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(bench.get(&token, "me/drive").await.status, 200);
}

#[tokio::test]
async fn stopping_ends_a_stall() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 600_000 }));
    let request = bench.http.get(bench.address("me/drive")).bearer_auth(&token);
    let waiting = request.send();
    let stopping = async {
        while bench.sim.counters().faults == 0 {
            tokio::task::yield_now().await;
        }
        bench.sim.stop().await;
    };
    let both = async { tokio::join!(waiting, stopping) };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(10), both).await.is_ok());
}

#[tokio::test]
async fn a_body_cut_short_promises_its_length_and_breaks() {
    let (bench, _, _, link) = file(100_000).await;
    bench.sim.faults().add(Fault::new(FaultKind::TruncatedBody).times(1));
    let mut response = bench.http.get(&link).send().await.unwrap();
    assert_eq!(response.content_length(), Some(100_000));
    let mut received = 0;
    let broke = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke);
    assert_eq!(received, 50_000, "the half of the body arrives");
    assert_eq!(bench.http.get(&link).send().await.unwrap().bytes().await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn the_half_of_a_body_arrives_on_a_slow_connection_as_well() {
    let (bench, _, _, link) = file(600_000).await;
    bench.sim.switch(|switches| switches.network.latency_milliseconds = [30, 30]);
    bench.sim.faults().add(Fault::new(FaultKind::TruncatedBody).times(1));
    let mut response = bench.http.get(&link).send().await.unwrap();
    let mut received = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        received += chunk.len();
    }
    assert_eq!(received, 300_000);
}

#[tokio::test]
async fn a_page_of_the_feed_can_be_cut_short_too() {
    let (bench, _, token) = Bench::with_drive(&plain(50, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::TruncatedBody).on(Endpoint::Delta).times(1));
    let response = bench.http.get(bench.address(START)).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn an_ignored_range_is_200_with_everything() {
    let (bench, _, _, link) = file(1_000).await;
    bench.sim.faults().add(Fault::new(FaultKind::RangeIgnored).times(1));
    let response = bench.http.get(&link).header("Range", "bytes=10-19").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(1_000)));
}

#[tokio::test]
async fn section_1_4_listings_can_lack_or_falsify_hash_and_size() {
    let (bench, token, id, link) = file(1_000).await;
    let item = async || bench.get(&token, &format!("me/drive/items/{id}")).await.body;
    let good = item().await;
    bench.sim.faults().add(Fault::new(FaultKind::MissingHash).name_ends_with(".docx"));
    assert!(item().await.pointer("/file/hashes").is_none());
    bench.sim.faults().clear();
    bench.sim.faults().add(Fault::new(FaultKind::MissingHash).name_ends_with(".txt"));
    assert!(item().await.pointer("/file/hashes").is_some());
    bench.sim.faults().clear();
    bench.sim.faults().add(Fault::new(FaultKind::WrongHash));
    assert_ne!(item().await["file"]["hashes"], good["file"]["hashes"]);
    bench.sim.faults().clear();
    bench.sim.faults().add(Fault::new(FaultKind::WrongListedSize));
    assert_ne!(item().await["size"], good["size"]);
    assert_eq!(bench.http.get(&link).send().await.unwrap().content_length(), Some(1_000));
}

#[tokio::test]
async fn a_share_of_the_items_is_always_the_same_one() {
    let (bench, _, token) = Bench::with_drive(&plain(100, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::MissingHash).probability(0.3));
    let lacking = async || {
        let (pages, _) = bench.drain(&token, START).await;
        let lacks = |item: &&Value| item.get("file").is_some() && item.pointer("/file/hashes").is_none();
        pages.iter().flatten().filter(lacks).map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    let first = lacking().await;
    assert!(first.len() > 10 && first.len() < 60);
    assert_eq!(first, lacking().await);
}

#[tokio::test]
async fn section_4_2_the_first_use_of_a_link_can_be_401() {
    let (bench, token, id, link) = file(10).await;
    bench.sim.faults().add(Fault::new(FaultKind::DownloadUrlFirst401));
    assert_eq!(bench.send(bench.http.get(&link)).await.status, 401);
    let again = bench.get(&token, &format!("me/drive/items/{id}")).await;
    assert_eq!(bench.send(bench.http.get(again.text("/@microsoft.graph.downloadUrl"))).await.status, 200);
}

#[tokio::test]
async fn section_9_6_a_claims_challenge_ends_the_token_and_a_new_one_works() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::Cae401).times(1));
    let challenged = bench.get(&token, "me/drive").await;
    assert_eq!(challenged.status, 401);
    let header = challenged.header("www-authenticate").unwrap();
    assert!(header.contains("error=\"insufficient_claims\""));
    let claims = header.split("claims=\"").nth(1).unwrap().trim_end_matches('"');
    let claims = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["access_token"]["nbf"]["essential"], true);
    assert_eq!(bench.get(&token, "me/drive").await.status, 401);
    assert_eq!(bench.provoked(), [ViolationKind::RefusedTokenReused]);
    assert_eq!(bench.get(&bench.token().await, "me/drive").await.status, 200);
}

#[tokio::test]
async fn a_token_can_expire_early() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.faults().add(Fault::new(FaultKind::TokenEarlyExpiry).times(1));
    assert_eq!(bench.get(&token, "me/drive").await.text("/error/code"), "InvalidAuthenticationToken");
    assert_eq!(bench.get(&bench.token().await, "me/drive").await.status, 200);
}

#[tokio::test]
async fn section_2_7_every_form_of_410() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    let ask = async |inner, location, body| {
        bench.sim.faults().add(Fault::new(FaultKind::Resync { inner, location, body }).times(1));
        let answer = bench.get(&token, START).await;
        assert_eq!(answer.status, 410);
        answer
    };
    let usual = ask(ResyncInner::Upload, ResyncLocation::Ok, ResyncBody::Json).await;
    assert_eq!(usual.text("/error/innerError/code"), "resyncChangesUploadDifferences");
    assert_eq!(bench.get(&token, usual.header("location").unwrap()).await.status, 200);
    let broken = ask(ResyncInner::None, ResyncLocation::Broken, ResyncBody::Json).await;
    assert!(broken.body.pointer("/error/innerError/code").is_none());
    assert_eq!(bench.get(&token, broken.header("location").unwrap()).await.status, 500);
    let text = ask(ResyncInner::Apply, ResyncLocation::Absent, ResyncBody::Text).await;
    assert!(text.header("location").is_none() && text.body.is_string());
}

#[tokio::test]
async fn section_2_2_an_empty_page_goes_on_and_loses_nothing() {
    let (bench, drive, token) = Bench::with_drive(&plain(30, 3)).await;
    bench.sim.faults().add(Fault::new(FaultKind::EmptyPageWithNextlink).times(2).skip(1));
    let (pages, _) = bench.drain(&token, &format!("{START}?$top=10")).await;
    assert_eq!(pages.iter().filter(|page| page.is_empty()).count(), 2);
    let mut mirror = Mirror::default();
    mirror.apply(&pages);
    assert_eq!(mirror.entries(), truth(&drive));
}

#[tokio::test]
async fn section_2_7_a_next_link_can_lead_to_itself() {
    let (bench, _, token) = Bench::with_drive(&plain(30, 0)).await;
    let first = bench.get(&token, &format!("{START}?$top=10")).await;
    let link = first.text("/@odata.nextLink");
    bench.sim.faults().add(Fault::new(FaultKind::NextlinkLoop).times(2));
    for _ in 0..2 {
        assert_eq!(bench.get(&token, link).await.text("/@odata.nextLink"), link);
    }
    assert_ne!(bench.get(&token, link).await.text("/@odata.nextLink"), link);
}

#[tokio::test]
async fn rule_9_a_tombstone_can_be_lost_for_good() {
    let (bench, drive, token) = Bench::with_drive(&plain(3, 0)).await;
    let (_, link) = bench.drain(&token, START).await;
    drive.apply(&Change::Delete { item: drive.walk()[0].id.clone() }).unwrap();
    bench.sim.faults().add(Fault::new(FaultKind::LostTombstone).times(1));
    let (pages, link) = bench.drain(&token, &link).await;
    assert!(pages[0].iter().all(|item| item.get("deleted").is_none()));
    let (pages, _) = bench.drain(&token, &link).await;
    assert_eq!(pages, [Vec::<Value>::new()]);
}

#[tokio::test]
async fn section_2_7_something_that_exists_can_be_404_for_a_moment() {
    let (bench, token, id, _) = file(1).await;
    bench.sim.faults().add(Fault::new(FaultKind::Transient404).times(1));
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}")).await.text("/error/code"), "itemNotFound");
    assert_eq!(bench.get(&token, &format!("me/drive/items/{id}")).await.status, 200);
}

/// Every row of the table of §6 can be had, with the code that belongs to it or another, and a code inside.
#[tokio::test]
async fn section_6_every_error_on_demand() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    for (number, code) in [
        (400, "invalidRequest"),
        (403, "accessDenied"),
        (404, "itemNotFound"),
        (405, "notSupported"),
        (406, "invalidRequest"),
        (409, "conflict"),
        (410, "resyncRequired"),
        (411, "invalidRequest"),
        (412, "resourceModified"),
        (413, "invalidRequest"),
        (415, "invalidRequest"),
        (416, "invalidRange"),
        (422, "invalidRequest"),
        (423, "resourceLocked"),
        (429, "activityLimitReached"),
        (500, "generalException"),
        (501, "notSupported"),
        (502, "UnknownError"),
        (503, "serviceNotAvailable"),
        (504, "UnknownError"),
        (507, "quotaLimitReached"),
        (509, "bandwidthLimitExceeded"),
    ] {
        bench.sim.faults().add(status(number, BodyForm::Json).on(Endpoint::Drive).times(1));
        let answer = bench.get(&token, "me/drive").await;
        assert_eq!((answer.status, answer.text("/error/code")), (number, code));
        assert!(answer.body["error"]["innerError"]["request-id"].is_string());
    }
    let long = FaultKind::Status {
        status: 400,
        code: Some("InvalidRequest".to_owned()),
        inner: Some("pathIsTooLong".to_owned()),
        body: BodyForm::Json,
        retry_after: None,
    };
    bench.sim.faults().add(Fault::new(long).on(Endpoint::Drive).times(1));
    let answer = bench.get(&token, "me/drive").await;
    assert_eq!(answer.text("/error/code"), "InvalidRequest");
    assert_eq!(answer.text("/error/innerError/code"), "pathIsTooLong");
    bench.sim.faults().add(status(308, BodyForm::Empty).on(Endpoint::Drive).times(1));
    let moved = bench.get(&token, "me/drive").await;
    assert_eq!((moved.status, moved.header("location")), (308, None));
}
