//! §9.2: the authorization endpoint, its pages, and the ways back to the client.

use simulator::{
    AutoSignIn, CONFIDENTIAL_CLIENT_ID, Endpoint, FIRST_USER, Fault, PUBLIC_CLIENT_ID, SECOND_USER,
};

use crate::bench::Bench;
use crate::browser::{Browser, LOOPBACK, SPA, between, parameters, redeem};

#[tokio::test]
async fn a_person_signs_in_on_the_page_and_the_client_gets_its_code_and_state() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    let opened = browser.open(&[]).await;
    assert_eq!(opened.answer.status, 200);
    let page = opened.page().to_owned();
    assert!(page.contains(FIRST_USER) && page.contains(SECOND_USER));
    let back = browser.submit(&page, &[("user", SECOND_USER)]).await;
    assert_eq!(back.answer.status, 302);
    let location = back.answer.header("location").unwrap();
    assert!(location.starts_with(&format!("{LOOPBACK}?code=sim-ac-")), "{location}");
    assert_eq!(back.given("state"), "a state & more");
    assert!(!back.given("session_state").is_empty());
    let answer = redeem(&bench, back.given("code"), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.text("/refresh_token").starts_with("sim-rt-"));
    assert_eq!(answer.text("/scope"), "openid Files.Read.All");
    assert_eq!(bench.sim.counters().of(Endpoint::Authorize), 2);
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn a_page_answers_once() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    let page = browser.open(&[]).await.page().to_owned();
    assert_eq!(browser.submit(&page, &[("user", FIRST_USER)]).await.answer.status, 302);
    let again = browser.submit(&page, &[("user", FIRST_USER)]).await;
    assert_eq!(again.answer.status, 400);
    assert!(again.page().contains("AADSTS50089"));
}

#[tokio::test]
async fn who_cancels_is_led_back_with_access_denied() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    let page = browser.open(&[]).await.page().to_owned();
    let back = browser.submit(&page, &[("decline", "yes")]).await;
    assert_eq!((back.given("error"), back.given("state")), ("access_denied", "a state & more"));
    assert!(back.given("error_description").starts_with("AADSTS65004: "));
}

#[tokio::test]
async fn a_fragment_and_a_form_are_ways_back_too() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let mut browser = Browser::new(&bench);
    let fragment = browser.open(&[("response_mode", "fragment")]).await;
    assert!(fragment.answer.header("location").unwrap().starts_with(&format!("{LOOPBACK}#code=")));
    let form = browser.open(&[("response_mode", "form_post"), ("state", "\"><script>")]).await;
    let page = form.page();
    assert_eq!(between(page, "action=\"", "\""), LOOPBACK);
    let code = between(page, "name=code value=\"", "\"");
    assert_eq!(between(page, "name=state value=\"", "\""), "&quot;&gt;&lt;script&gt;");
    assert_eq!(redeem(&bench, code, &[]).await.status, 200);
    let unknown = browser.open(&[("response_mode", "pigeon")]).await;
    assert!(unknown.page().contains("AADSTS70007"));
}

#[tokio::test]
async fn nothing_is_led_back_to_an_address_that_is_not_registered() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let mut browser = Browser::new(&bench);
    for (changed, number) in [
        (("redirect_uri", "https://evil.example/"), "AADSTS50011"),
        (("redirect_uri", "http://localhost:4711/other"), "AADSTS50011"),
        (("redirect_uri", ""), "AADSTS900144"),
        (("client_id", "nobody"), "AADSTS700016"),
        (("client_id", CONFIDENTIAL_CLIENT_ID), "AADSTS50011"),
    ] {
        let place = browser.open(&[changed]).await;
        assert_eq!(place.answer.status, 400, "{changed:?}");
        assert!(place.page().contains(number), "{changed:?} {}", place.page());
    }
    let tenant = browser.open_at("nowhere", &[]).await;
    assert!(tenant.page().contains("AADSTS90002"));
    for port in ["http://localhost:1", "http://localhost:65535/", "http://127.0.0.1:80"] {
        assert!(!browser.open(&[("redirect_uri", port)]).await.given("code").is_empty());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_the_client() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    for (changed, error, number) in [
        (("response_type", "token"), "unsupported_response_type", "AADSTS70005: "),
        (("response_type", ""), "invalid_request", "AADSTS900144: "),
        (("scope", ""), "invalid_request", "AADSTS900144: "),
        (("scope", "Nonsense.All"), "invalid_scope", "AADSTS70011: "),
        (("prompt", "maybe"), "invalid_request", "AADSTS90023: "),
        (("code_challenge", "short"), "invalid_request", "AADSTS50147: "),
        (("code_challenge_method", "S512"), "invalid_request", "AADSTS90023: "),
        (("claims", "no json"), "invalid_request", "AADSTS9002313: "),
        (("prompt", "none"), "login_required", "AADSTS50058: "),
    ] {
        let back = browser.open(&[changed]).await;
        assert_eq!((back.given("error"), back.given("state")), (error, "a state & more"), "{changed:?}");
        assert!(back.given("error_description").starts_with(number), "{:?}", back.given);
        assert!(back.given("error_uri").contains("/error?code="));
    }
}

#[tokio::test]
async fn a_page_in_a_browser_needs_a_challenge_and_a_program_does_not() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let mut browser = Browser::new(&bench);
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let spa = browser.open(&[without[0], without[1], ("redirect_uri", SPA)]).await;
    assert!(spa.given("error_description").starts_with("AADSTS50147: "));
    let native = browser.open(&without).await;
    let answer = redeem(&bench, native.given("code"), &[("code_verifier", "")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_browser_stays_signed_in_and_prompt_none_uses_it_until_it_signs_out() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    browser.code(SECOND_USER, &[]).await;
    let silent = browser.open(&[("prompt", "none")]).await;
    assert!(!silent.given("code").is_empty());
    let other = browser.open(&[("prompt", "none"), ("login_hint", FIRST_USER)]).await;
    assert_eq!(other.given("error"), "login_required");
    for prompt in ["login", "select_account"] {
        assert!(browser.open(&[("prompt", prompt)]).await.page().contains("Sign in"));
    }
    let address = format!("{}/common/oauth2/v2.0/logout", bench.sim.authority());
    let onward = |uri| bench.http.get(&address).query(&[("post_logout_redirect_uri", uri)]);
    let out = browser.send(onward(SPA)).await;
    assert_eq!(out.answer.header("location"), Some(SPA));
    assert_eq!(browser.open(&[("prompt", "none")]).await.given("error"), "login_required");
    let elsewhere = browser.send(onward("https://evil.example/")).await;
    assert_eq!((elsewhere.answer.status, elsewhere.answer.header("location")), (200, None));
}

#[tokio::test]
async fn a_login_hint_chooses_who_is_offered_first() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    let opened = browser.open(&[("login_hint", SECOND_USER)]).await;
    assert!(opened.page().contains(&format!("<option selected>{SECOND_USER}")));
}

#[tokio::test]
async fn the_switch_answers_the_pages_as_the_hinted_the_chosen_or_the_first_user() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let mut who = async |more: &[(&str, &str)]| {
        let code = browser.open(more).await.given("code").to_owned();
        browser.cookie = None;
        crate::id_token::claims(&redeem(&bench, &code, &[]).await)["preferred_username"].clone()
    };
    assert_eq!(who(&[]).await, FIRST_USER);
    assert_eq!(who(&[("login_hint", SECOND_USER)]).await, SECOND_USER);
    bench.sim.switch(|switches| switches.sign_in.auto_user = Some(SECOND_USER.to_owned()));
    assert_eq!(who(&[("prompt", "login")]).await, SECOND_USER);
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Decline);
    assert_eq!(Browser::new(&bench).open(&[]).await.given("error"), "access_denied");
}

#[tokio::test]
async fn every_error_of_the_list_reaches_the_client_on_demand() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    for (name, error) in [
        ("invalid_request", "invalid_request"),
        ("application_disabled", "unauthorized_client"),
        ("consent_declined", "access_denied"),
        ("unsupported_response_type", "unsupported_response_type"),
        ("server_error", "server_error"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("resource_not_found", "invalid_resource"),
        ("login_required", "login_required"),
        ("50074", "interaction_required"),
    ] {
        bench.sim.faults().add(Fault::entra(name).unwrap().on(Endpoint::Authorize).times(1));
        assert_eq!(browser.open(&[]).await.given("error"), error, "{name}");
    }
    assert!(!browser.open(&[]).await.page().is_empty());
}

#[tokio::test]
async fn parameters_may_come_in_a_body() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let address = format!("{}/common/oauth2/v2.0/authorize", bench.sim.authority());
    let fields = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", LOOPBACK),
        ("scope", "Files.Read"),
    ];
    let answer = bench.send(bench.http.post(address).form(&fields)).await;
    let given = parameters(answer.header("location").unwrap());
    assert!(given.contains_key("code") && !given.contains_key("state"));
}
