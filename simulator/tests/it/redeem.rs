//! §9.2, §9.3: what becomes of an authorization code.

use std::time::Duration;

use simulator::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, FIRST_USER, PUBLIC_CLIENT_ID};

use crate::bench::{Answer, Bench};
use crate::browser::{Browser, CHALLENGE, SPA, VERIFIER, redeem};

const WEB: &str = "https://app.contoso.example/callback";

fn refused(answer: &Answer, error: &str, aadsts: u32) {
    assert_eq!(
        (answer.status, answer.text("/error"), &answer.body["error_codes"][0]),
        (400, error, &aadsts.into()),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_code_is_good_once_and_then_54005() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    assert_eq!(redeem(&bench, &code, &[]).await.status, 200);
    refused(&redeem(&bench, &code, &[]).await, "invalid_grant", 54_005);
}

#[tokio::test]
async fn a_wrong_verifier_is_501481_and_does_not_use_the_code_up() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    for wrong in [CHALLENGE, "short", ""] {
        refused(&redeem(&bench, &code, &[("code_verifier", wrong)]).await, "invalid_grant", 501_481);
    }
    assert_eq!(redeem(&bench, &code, &[]).await.status, 200);
}

#[tokio::test]
async fn a_plain_challenge_is_the_verifier_itself_and_so_is_one_without_a_method() {
    let bench = Bench::new().await;
    for method in ["plain", ""] {
        let plain = [("code_challenge", VERIFIER), ("code_challenge_method", method)];
        let code = Browser::new(&bench).code(FIRST_USER, &plain).await;
        refused(&redeem(&bench, &code, &[("code_verifier", CHALLENGE)]).await, "invalid_grant", 501_481);
        assert_eq!(redeem(&bench, &code, &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_code_lives_ten_minutes() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let late = Browser::new(&bench).code(FIRST_USER, &[]).await;
    bench.sim.clock().advance(Duration::from_secs(599));
    assert_eq!(redeem(&bench, &code, &[]).await.status, 200);
    bench.sim.clock().advance(Duration::from_secs(1));
    refused(&redeem(&bench, &late, &[]).await, "invalid_grant", 70_008);
}

#[tokio::test]
async fn a_code_is_bound_to_its_address_its_application_and_its_scopes() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let elsewhere = redeem(&bench, &code, &[("redirect_uri", "http://localhost:4712")]).await;
    refused(&elsewhere, "invalid_grant", 500_112);
    let other = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", CONFIDENTIAL_CLIENT_SECRET)];
    refused(&redeem(&bench, &code, &other).await, "invalid_grant", 70_000);
    refused(&redeem(&bench, &code, &[("scope", "Sites.ReadWrite.All")]).await, "invalid_grant", 65_001);
    refused(&redeem(&bench, "sim-ac-none", &[]).await, "invalid_grant", 70_000);
    refused(&redeem(&bench, "", &[]).await, "invalid_request", 900_144);
    let narrow = redeem(&bench, &code, &[("scope", "Files.Read.All offline_access openid")]).await;
    assert_eq!(narrow.status, 200, "{}", narrow.body);
}

#[tokio::test]
async fn a_server_proves_itself_and_a_program_must_not_try() {
    let bench = Bench::new().await;
    let of_web = [("client_id", CONFIDENTIAL_CLIENT_ID), ("redirect_uri", WEB)];
    let code = Browser::new(&bench).code(FIRST_USER, &of_web).await;
    let without = redeem(&bench, &code, &of_web).await;
    assert_eq!((without.status, &without.body["error_codes"][0]), (401, &7_000_218.into()));
    let secret = ("client_secret", CONFIDENTIAL_CLIENT_SECRET);
    let proven = redeem(&bench, &code, &[of_web[0], of_web[1], secret]).await;
    assert_eq!(proven.status, 200, "{}", proven.body);
    let native = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let tried = redeem(&bench, &native, &[secret]).await;
    assert_eq!((tried.status, &tried.body["error_codes"][0]), (401, &700_025.into()));
}

/// §9.3: 24 hours for pages in a browser, inherited by every successor.
#[tokio::test]
async fn a_page_in_a_browser_asks_across_origins_and_is_over_after_24_hours() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[("redirect_uri", SPA)]).await;
    let here = ("redirect_uri", SPA);
    refused(&redeem(&bench, &code, &[here]).await, "invalid_request", 9_002_327);
    let token = async |fields: &[(&str, &str)]| {
        let address = format!("{}/common/oauth2/v2.0/token", bench.sim.authority());
        let request = bench.http.post(address).header("origin", "https://spa.contoso.example");
        bench.send(request.form(fields)).await
    };
    let base = [("client_id", PUBLIC_CLIENT_ID), ("code_verifier", VERIFIER)];
    let first = token(&[base[0], base[1], here, ("grant_type", "authorization_code"), ("code", &code)]).await;
    assert_eq!((first.status, first.header("access-control-allow-origin")), (200, Some("*")));
    let refresh = async |from: &Answer| {
        let old = from.text("/refresh_token");
        token(&[base[0], ("grant_type", "refresh_token"), ("refresh_token", old)]).await
    };
    bench.sim.clock().advance(Duration::from_hours(23));
    let second = refresh(&first).await;
    assert_eq!(second.status, 200, "{}", second.body);
    bench.sim.clock().advance(Duration::from_hours(1));
    refused(&refresh(&second).await, "invalid_grant", 700_084);
    let native = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let crossed = token(&[
        base[0],
        base[1],
        ("redirect_uri", crate::browser::LOOPBACK),
        ("grant_type", "authorization_code"),
        ("code", &native),
    ])
    .await;
    refused(&crossed, "invalid_request", 9_002_326);
}

#[tokio::test]
async fn an_unused_refresh_token_of_a_program_lives_ninety_days_and_each_successor_as_long_again() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let first = redeem(&bench, &code, &[]).await;
    bench.sim.clock().advance(Duration::from_hours(89 * 24));
    let second = bench.refresh(first.text("/refresh_token")).await;
    bench.sim.clock().advance(Duration::from_hours(89 * 24));
    assert_eq!(bench.refresh(second.text("/refresh_token")).await.status, 200);
    refused(&bench.refresh(first.text("/refresh_token")).await, "invalid_grant", 700_082);
}
