//! §9.1: the device-code flow.

use std::time::Duration;

use base64::Engine as _;
use simulator::{PUBLIC_CLIENT_ID, SECOND_USER, TENANT_ID, TooFast, ViolationKind};

use crate::bench::{Answer, Bench};

const SCOPE: &str = "https://graph.microsoft.com/Files.Read offline_access openid";

async fn begin(bench: &Bench, scope: &str) -> (String, String) {
    let fields = [("client_id", PUBLIC_CLIENT_ID), ("scope", scope)];
    let answer = bench.form(&format!("{TENANT_ID}/oauth2/v2.0/devicecode"), &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.text("/device_code").to_owned(), answer.text("/user_code").to_owned())
}

async fn poll(bench: &Bench, code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    bench
        .token_request(&[("client_id", PUBLIC_CLIENT_ID), ("grant_type", grant), ("device_code", code)])
        .await
}

#[tokio::test]
async fn a_code_is_issued_with_the_documented_members() {
    let bench = Bench::new().await;
    let fields = [("client_id", PUBLIC_CLIENT_ID), ("scope", SCOPE)];
    let answer = bench.form("common/oauth2/v2.0/devicecode", &fields).await;
    assert!(answer.text("/device_code").starts_with("sim-dc-"));
    assert_eq!(answer.text("/user_code").len(), 9);
    assert_eq!(answer.text("/verification_uri"), format!("{}/devicelogin", bench.sim.authority()));
    assert_eq!(answer.body["expires_in"], 900);
    assert_eq!(answer.body["interval"], 5);
    assert!(answer.text("/message").contains(answer.text("/user_code")));
    assert!(answer.body.get("verification_uri_complete").is_none());
}

#[tokio::test]
async fn pending_then_approved_then_redeemed_once() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.device.interval_seconds = 0);
    let (code, user_code) = begin(&bench, SCOPE).await;
    let pending = poll(&bench, &code).await;
    assert_eq!((pending.status, pending.text("/error")), (400, "authorization_pending"));
    assert_eq!(pending.body["error_codes"][0], 70_016);
    assert_eq!(bench.sim.pending_device_codes()[0].user_code, user_code);
    bench.sim.approve(&user_code.to_lowercase().replace('-', "")).unwrap();
    let answer = poll(&bench, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("/token_type"), "Bearer");
    assert_eq!(answer.text("/scope"), "Files.Read openid");
    assert!(answer.text("/access_token").starts_with("sim-at-"));
    assert!(answer.text("/refresh_token").starts_with("sim-rt-"));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
    let again = poll(&bench, &code).await;
    assert_eq!((again.status, again.text("/error")), (400, "bad_verification_code"));
    assert!(bench.sim.approve(&user_code).is_err());
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn the_id_token_names_who_signed_in() {
    let bench = Bench::new().await;
    let (code, user_code) = begin(&bench, SCOPE).await;
    bench.sim.approve_as(&user_code, SECOND_USER).unwrap();
    let answer = poll(&bench, &code).await;
    let parts: Vec<&str> = answer.text("/id_token").split('.').collect();
    assert_eq!(parts.len(), 3);
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["preferred_username"], SECOND_USER);
    assert_eq!(claims["tid"], TENANT_ID);
    assert_eq!(claims["aud"], PUBLIC_CLIENT_ID);
    assert_eq!(claims["iss"], format!("{}/{TENANT_ID}/v2.0", bench.sim.authority()));
    assert!(claims["oid"].is_string() && claims["name"].is_string() && claims["exp"].is_u64());
}

#[tokio::test]
async fn no_refresh_token_without_offline_access_and_no_id_token_without_openid() {
    let bench = Bench::new().await;
    let (code, user_code) = begin(&bench, "Files.Read").await;
    bench.sim.approve(&user_code).unwrap();
    let answer = poll(&bench, &code).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.get("refresh_token").is_none() && answer.body.get("id_token").is_none());
}

#[tokio::test]
async fn a_declined_code_says_so() {
    let bench = Bench::new().await;
    let (code, user_code) = begin(&bench, SCOPE).await;
    bench.sim.decline(&user_code).unwrap();
    let answer = poll(&bench, &code).await;
    assert_eq!((answer.status, answer.text("/error")), (400, "authorization_declined"));
}

#[tokio::test]
async fn an_expired_code_says_so_and_cannot_be_approved() {
    let bench = Bench::new().await;
    let (code, user_code) = begin(&bench, SCOPE).await;
    bench.sim.clock().advance(Duration::from_mins(15));
    assert!(bench.sim.approve(&user_code).is_err());
    let answer = poll(&bench, &code).await;
    assert_eq!((answer.status, answer.text("/error")), (400, "expired_token"));
    assert_eq!(answer.body["error_codes"][0], 70_019);
}

#[tokio::test]
async fn a_code_of_nobody_is_bad() {
    let bench = Bench::new().await;
    let answer = poll(&bench, "sim-dc-nonsense").await;
    assert_eq!((answer.status, answer.text("/error")), (400, "bad_verification_code"));
    assert_eq!(answer.body["error_codes"][0], 70_018);
}

/// RFC 8628 §3.5
#[tokio::test]
async fn slow_down_adds_five_seconds_to_the_interval() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.device.too_fast = TooFast::SlowDown);
    let (code, _) = begin(&bench, SCOPE).await;
    assert_eq!(poll(&bench, &code).await.text("/error"), "authorization_pending");
    assert_eq!(poll(&bench, &code).await.text("/error"), "slow_down");
    bench.sim.clock().advance(Duration::from_secs(6));
    assert_eq!(poll(&bench, &code).await.text("/error"), "slow_down");
    bench.sim.clock().advance(Duration::from_secs(15));
    assert_eq!(poll(&bench, &code).await.text("/error"), "authorization_pending");
    assert_eq!(bench.provoked(), [ViolationKind::DeviceCodePolledTooFast; 2]);
}

#[tokio::test]
async fn polling_in_a_loop_ends_in_50196() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.device.too_fast = TooFast::LoopDetected);
    let (code, _) = begin(&bench, SCOPE).await;
    for _ in 0..3 {
        assert_eq!(poll(&bench, &code).await.text("/error"), "authorization_pending");
    }
    let cut = poll(&bench, &code).await;
    assert_eq!((cut.text("/error"), &cut.body["error_codes"][0]), ("invalid_grant", &50_196.into()));
    assert_eq!(bench.provoked(), [ViolationKind::DeviceCodePolledTooFast; 3]);
}

#[tokio::test]
async fn a_code_approves_itself_after_so_many_polls_when_switched_on() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| {
        switches.device.interval_seconds = 0;
        switches.device.approve_after_polls = Some(2);
    });
    let (code, _) = begin(&bench, SCOPE).await;
    assert_eq!(poll(&bench, &code).await.status, 400);
    assert_eq!(poll(&bench, &code).await.status, 200);
}

#[tokio::test]
async fn the_page_a_person_opens_approves_a_code() {
    let bench = Bench::new().await;
    let (code, user_code) = begin(&bench, SCOPE).await;
    let page = format!("{}/devicelogin", bench.sim.authority());
    let shown = bench.send(bench.http.get(&page)).await;
    assert!(shown.body.as_str().unwrap().contains("<form"));
    let fields = [("user_code", user_code.as_str()), ("user", SECOND_USER)];
    assert_eq!(bench.send(bench.http.post(&page).form(&fields)).await.status, 200);
    assert_eq!(bench.send(bench.http.post(&page).form(&fields)).await.status, 400);
    assert_eq!(poll(&bench, &code).await.status, 200);
}
