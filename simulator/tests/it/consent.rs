//! §9.2, §9.4: consent of users and of administrators.

use simulator::{
    AutoSignIn, CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Consent, FIRST_USER, PUBLIC_CLIENT_ID,
    SECOND_USER, TENANT_ID,
};

use crate::bench::{Answer, Bench, plain};
use crate::browser::{Browser, LOOPBACK, Place, SCOPE, between, redeem};

async fn asking() -> Bench {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.sign_in.consent = Consent::Asked);
    bench
}

/// Signs in on the page and returns what comes next.
async fn signed_in(browser: &mut Browser<'_>, user: &str, more: &[(&str, &str)]) -> Place {
    let page = browser.open(more).await.page().to_owned();
    browser.submit(&page, &[("user", user)]).await
}

async fn ask(bench: &Bench, refresh: &str, scope: &str) -> Answer {
    let fields = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
        ("scope", scope),
    ];
    bench.token_request(&fields).await
}

async fn admin_consent(browser: &mut Browser<'_>, address: &str, more: &[(&str, &str)]) -> Place {
    let address = format!("{}/{address}", browser.bench.sim.authority());
    let mut parameters =
        vec![("client_id", PUBLIC_CLIENT_ID), ("redirect_uri", LOOPBACK), ("state", "12345")];
    parameters.extend(more);
    let opened = browser.send(browser.bench.http.get(&address).query(&parameters)).await;
    if !opened.given.is_empty() {
        return opened;
    }
    let page = opened.page();
    assert_eq!(between(page, "name=state value=\"", "\""), "12345");
    let mut fields = parameters;
    fields.push(("user", FIRST_USER));
    browser.send(browser.bench.http.post(&address).form(&fields)).await
}

#[tokio::test]
async fn the_page_asks_once_per_user_and_application() {
    let bench = asking().await;
    let mut browser = Browser::new(&bench);
    let asked = signed_in(&mut browser, FIRST_USER, &[]).await;
    let page = asked.page().to_owned();
    assert!(page.contains("Permissions requested") && page.contains("<li>Files.Read.All</li>"));
    let back = browser.submit(&page, &[("accept", "yes")]).await;
    assert_eq!(redeem(&bench, back.given("code"), &[]).await.status, 200);
    assert!(!browser.open(&[]).await.given("code").is_empty());
    assert!(signed_in(&mut Browser::new(&bench), SECOND_USER, &[]).await.page().contains("Permissions"));
    assert!(browser.open(&[("scope", "Files.ReadWrite.All")]).await.page().contains("Files.ReadWrite.All"));
}

#[tokio::test]
async fn prompt_consent_asks_again_and_prompt_none_never() {
    let bench = Bench::new().await;
    let mut browser = Browser::new(&bench);
    browser.code(FIRST_USER, &[]).await;
    let again = browser.open(&[("prompt", "consent")]).await;
    let page = again.page().to_owned();
    let declined = browser.submit(&page, &[("decline", "yes")]).await;
    assert_eq!(declined.given("error"), "access_denied");
    assert!(declined.given("error_description").starts_with("AADSTS65004: "));
    bench.sim.switch(|switches| switches.sign_in.consent = Consent::Asked);
    let silent = browser.open(&[("prompt", "none"), ("scope", "Sites.Read.All")]).await;
    assert_eq!(silent.given("error"), "interaction_required");
    assert!(silent.given("error_description").starts_with("AADSTS65001: "));
}

#[tokio::test]
async fn what_needs_an_administrator_is_not_for_users_to_allow() {
    let bench = asking().await;
    let wide = [("scope", "openid Sites.FullControl.All")];
    let mut user = Browser::new(&bench);
    let asked = signed_in(&mut user, SECOND_USER, &wide).await;
    let page = asked.page().to_owned();
    assert!(page.contains("Need admin approval") && !page.contains("name=accept"));
    let forced = user.submit(&page, &[("accept", "yes")]).await;
    assert_eq!(forced.given("error"), "consent_required");
    assert!(forced.given("error_description").starts_with("AADSTS90094: "));
    let mut admin = Browser::new(&bench);
    let page = signed_in(&mut admin, FIRST_USER, &wide).await.page().to_owned();
    assert!(!admin.submit(&page, &[("accept", "yes")]).await.given("code").is_empty());
}

#[tokio::test]
async fn an_administrator_allows_for_everybody() {
    let bench = asking().await;
    let mut browser = Browser::new(&bench);
    let scope = [("scope", SCOPE)];
    let back = admin_consent(&mut browser, &format!("{TENANT_ID}/v2.0/adminconsent"), &scope).await;
    assert_eq!((back.given("admin_consent"), back.given("tenant")), ("True", TENANT_ID));
    assert_eq!((back.given("state"), back.given("scope")), ("12345", SCOPE));
    let user = signed_in(&mut Browser::new(&bench), SECOND_USER, &[]).await;
    assert!(!user.given("code").is_empty());
}

#[tokio::test]
async fn admin_consent_is_for_administrators_and_may_be_declined() {
    let bench = asking().await;
    let mut browser = Browser::new(&bench);
    let address = "common/v2.0/adminconsent";
    let user = admin_consent(&mut browser, address, &[("user", SECOND_USER)]).await;
    assert_eq!((user.given("error"), user.given("state")), ("consent_required", "12345"));
    assert!(user.given("error_description").starts_with("AADSTS90094: "));
    let declined = admin_consent(&mut browser, address, &[("decline", "yes")]).await;
    assert_eq!(declined.given("error"), "access_denied");
    let scope = admin_consent(&mut browser, address, &[("scope", "Nonsense")]).await;
    assert_eq!(scope.given("error"), "invalid_scope");
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let older = admin_consent(&mut browser, "organizations/adminconsent", &[]).await;
    assert_eq!(older.given("admin_consent"), "True");
}

/// A refresh token is bound to user and application, not to a resource or to the scopes of its sign-in.
#[tokio::test]
async fn a_refresh_token_gives_what_was_consented_to_in_any_sign_in() {
    let bench = Bench::new().await;
    let narrow =
        bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read offline_access", FIRST_USER).unwrap();
    assert_eq!(ask(&bench, &narrow, "Sites.Read.All").await.body["error_codes"][0], 65_001);
    Browser::new(&bench).code(FIRST_USER, &[("scope", "Sites.Read.All")]).await;
    let wide = ask(&bench, &narrow, "Sites.Read.All").await;
    assert_eq!((wide.status, wide.text("/scope")), (200, "Sites.Read.All"));
}

#[tokio::test]
async fn withdrawn_consent_ends_refreshing_with_65001_until_it_is_given_again() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    let token = bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, SCOPE, FIRST_USER).unwrap();
    let other = bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, SCOPE, SECOND_USER).unwrap();
    let access = bench.refresh(&token).await.text("/access_token").to_owned();
    bench.sim.withdraw_consent(Some(FIRST_USER), Some(PUBLIC_CLIENT_ID)).unwrap();
    let refused = bench.refresh(&token).await;
    assert_eq!((refused.text("/error"), refused.text("/suberror")), ("invalid_grant", "consent_required"));
    assert_eq!(refused.body["error_codes"][0], 65_001);
    assert_eq!(bench.get(&access, "me/drive").await.status, 200);
    assert_eq!(bench.refresh(&other).await.status, 200);
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let again = redeem(&bench, &code, &[]).await;
    assert_eq!(bench.refresh(again.text("/refresh_token")).await.status, 200);
}

#[tokio::test]
async fn an_application_nobody_consented_to_gets_a_token_that_graph_refuses() {
    let bench = asking().await;
    let drive = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let read = async || {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", CONFIDENTIAL_CLIENT_ID),
            ("client_secret", CONFIDENTIAL_CLIENT_SECRET),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let answer = bench.token_request(&fields).await;
        bench.get(answer.text("/access_token"), &format!("drives/{}", drive.id())).await.status
    };
    assert_eq!(read().await, 403);
    bench.sim.switch(|switches| switches.sign_in.auto = AutoSignIn::Approve);
    let of_app = [("client_id", CONFIDENTIAL_CLIENT_ID), ("redirect_uri", "http://localhost/callback")];
    let address = format!("{}/{TENANT_ID}/adminconsent", bench.sim.authority());
    let given = bench.send(bench.http.get(address).query(&of_app)).await;
    assert_eq!(given.status, 302);
    assert_eq!(read().await, 200);
}
