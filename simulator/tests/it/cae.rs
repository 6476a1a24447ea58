//! §9.6: Continuous Access Evaluation, and how long access tokens live with it and without.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use simulator::{Config, FIRST_USER, PUBLIC_CLIENT_ID, Simulator};

use crate::bench::{Answer, Bench, plain};
use crate::browser::{Browser, redeem};

const CAPABLE: &str = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;

async fn refresh(bench: &Bench, token: &str, claims: &str) -> Answer {
    let fields = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("claims", claims),
    ];
    let answer = bench.token_request(&fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

fn sign_in(sim: &Simulator) -> String {
    sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER).unwrap()
}

async fn read(bench: &Bench, answer: &Answer) -> Answer {
    bench.get(answer.text("/access_token"), "me/drive").await
}

/// The claims of a challenge, with the capability merged in as clients have to.
fn challenge(answer: &Answer) -> String {
    assert_eq!(answer.status, 401);
    let header = answer.header("www-authenticate").unwrap();
    assert!(header.starts_with("Bearer realm=\"\", authorization_uri=\"http"), "{header}");
    assert!(header.contains("error=\"insufficient_claims\""), "{header}");
    let encoded = header.split("claims=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut claims: Value = serde_json::from_slice(&STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(claims["access_token"]["nbf"]["essential"], true);
    claims["access_token"]["xms_cc"] = json!({"values": ["cp1"]});
    claims.to_string()
}

#[tokio::test]
async fn a_challenged_client_passes_with_the_claims_and_not_without() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    let token = sign_in(&bench.sim);
    let first = refresh(&bench, &token, CAPABLE).await;
    assert_eq!(read(&bench, &first).await.status, 200);
    bench.sim.challenge(FIRST_USER).unwrap();
    let claims = challenge(&read(&bench, &first).await);
    let deaf = refresh(&bench, &token, CAPABLE).await;
    challenge(&read(&bench, &deaf).await);
    let answered = refresh(&bench, &token, &claims).await;
    assert_eq!(read(&bench, &answered).await.status, 200);
    assert_eq!(bench.sim.counters().claims_requests, 1);
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn without_the_capability_there_is_no_challenge() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    let plain_token = bench.token().await;
    let other =
        refresh(&bench, &sign_in(&bench.sim), r#"{"access_token":{"xms_cc":{"values":["cp2"]}}}"#).await;
    bench.sim.challenge(FIRST_USER).unwrap();
    assert_eq!(bench.get(&plain_token, "me/drive").await.status, 200);
    assert_eq!(read(&bench, &other).await.status, 200);
}

#[tokio::test]
async fn signing_in_again_answers_a_challenge_and_the_capability_may_come_with_the_request() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    let first = refresh(&bench, &sign_in(&bench.sim), CAPABLE).await;
    bench.sim.challenge(FIRST_USER).unwrap();
    challenge(&read(&bench, &first).await);
    let code = Browser::new(&bench).code(FIRST_USER, &[("claims", CAPABLE)]).await;
    let again = redeem(&bench, &code, &[]).await;
    assert_eq!(read(&bench, &again).await.status, 200);
    bench.sim.clock().advance(std::time::Duration::from_secs(1));
    bench.sim.challenge(FIRST_USER).unwrap();
    challenge(&read(&bench, &again).await);
}

#[tokio::test]
async fn revocation_challenges_who_understands_it_and_then_refreshing_fails() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    let token = sign_in(&bench.sim);
    let first = refresh(&bench, &token, CAPABLE).await;
    assert!(bench.sim.revoke(FIRST_USER, 50_173));
    challenge(&read(&bench, &first).await);
    assert_eq!(bench.refresh(&token).await.body["error_codes"][0], 50_173);
}

#[tokio::test]
async fn claims_that_are_no_json_object_are_malformed() {
    let bench = Bench::new().await;
    let token = sign_in(&bench.sim);
    let fields = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("claims", "nbf"),
    ];
    let answer = bench.token_request(&fields).await;
    assert_eq!((answer.status, &answer.body["error_codes"][0]), (400, &9_002_313.into()));
}

/// §9.3: 60 to 90 minutes; §9.6: up to 28 hours.
#[tokio::test]
async fn lifetimes_are_random_within_their_bounds_when_switched_on() {
    let bench = Bench::new().await;
    let token = sign_in(&bench.sim);
    let fixed = bench.refresh(&token).await;
    assert_eq!((&fixed.body["expires_in"], fixed.body.get("refresh_in")), (&3_599.into(), None));
    bench.sim.switch(|switches| switches.tokens.random_lifetimes = true);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let life = bench.refresh(&token).await.body["expires_in"].as_u64().unwrap();
        assert!((3_600..=5_400).contains(&life), "{life}");
        seen.insert(life);
        let long = refresh(&bench, &token, CAPABLE).await.body;
        let life = long["expires_in"].as_u64().unwrap();
        assert!((72_000..=100_800).contains(&life), "{life}");
        assert_eq!(long["refresh_in"], life / 2);
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_said() {
    let bench = Bench::with(Config {
        clock: simulator::Clock::stopped(std::time::Duration::from_hours(1)),
        ..Config::default()
    })
    .await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    bench.sim.switch(|switches| switches.tokens.random_lifetimes = true);
    let answer = refresh(&bench, &sign_in(&bench.sim), CAPABLE).await;
    let life = answer.body["expires_in"].as_u64().unwrap();
    bench.sim.clock().advance(std::time::Duration::from_secs(life - 1));
    assert_eq!(read(&bench, &answer).await.status, 200);
    bench.sim.clock().advance(std::time::Duration::from_secs(1));
    assert_eq!(read(&bench, &answer).await.status, 401);
}
