//! What users of other token brokers complained about, and where it is shown that it cannot happen here.
//!
//! | complaint | test |
//! |---|---|
//! | nango#1005: a refresh that hangs is never tried again; its lock ends before it does | `processes`, `replicas` |
//! | nango#988: a changed client secret breaks every connection; oauthapp#35: it cannot be changed without a pause | here |
//! | nango#1016: a refresh reports success and gives the expired token again | `get_access_token` |
//! | nango#2323, #7202: told of a recovery that was none, not told of one that was | `webhooks`, `watch_connections` |
//! | nango#4020: no refresh token for want of `offline_access` | here |
//! | airweave#1797: an expired stored token is never refreshed again | `refresh_ahead` |
//! | coder#17069, #24228: whoever loses a race spoils the row | `needs_reauth` |
//! | coder#24332: the new refresh token is lost because something fails after the exchange | `get_access_token` |
//! | coder#25686: a blip makes everybody sign in again | `app_breaker` |
//! | coder#27479: a lease is given back by somebody who does not have it any more | `replicas`, `store_contract` |
//! | oauth2-proxy#1992, #1580, #3456: a lock is shorter than the refresh that it guards | `replicas` |
//! | MAS#2795, hydra#1831: a lost answer signs people out | `replicas`, `crashes` |
//! | element-x-ios#5903: `invalid_grant` is asked about for ever | `app_breaker` |
//! | n8n#22567: the vendor's client secret expires (AADSTS7000222) and customers are blamed | `app_breaker` |
//! | xagent#1544: any failure deletes the connection | `app_breaker` |
//! | dify#32174: a refreshed token is never committed | `database_outage` |
//! | airbyte#83815: an answer without `expires_in` costs a refresh at every call | here |
//! | spire#4829: callers wait for what could have been done ahead of time | `refresh_ahead` |
//!
//! Vault#5361, #18943 and #31718 (an audit device that hangs stops the service) cannot apply before there is an audit record.

use std::{fs, time::Duration};

use proto::token::v1::{AppHealth, ConnectionState, CreateConnectionRequest};
use service_kit::status::status_reason;
use simulator::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Endpoint, FIRST_USER, Rotation};
use token_service::provider::ClientSecret;

use crate::{
    hostile_answers::Impostor,
    world::{SCOPES, World, ask, import, name},
};

const HOURS: Duration = Duration::from_hours(2);

#[tokio::test]
async fn nango_988_oauthapp_35_a_client_secret_is_changed_without_a_restart() {
    let world = World::new().await;
    let file = world.folder.path().join("client.secret");
    let config = || {
        let mut config = world.confidential("");
        config.provider.client_secret = Some(ClientSecret::File(file.clone()));
        config
    };
    fs::write(&file, CONFIDENTIAL_CLIENT_SECRET).unwrap();
    let mut service = world.start_with(config()).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    service.connections.create_connection(import("mail", token)).await.unwrap();
    service.stop().await;

    // The service has a secret that the provider does not take any more.
    fs::write(&file, "expired").unwrap();
    let service = world.start_with(config()).await.unwrap();
    world.advance(HOURS);
    world.sim.reset_counters();
    fs::write(&file, format!("{CONFIDENTIAL_CLIENT_SECRET}\n")).unwrap();
    service.token(ask("mail")).await.unwrap();
    assert_eq!(world.sim.counters().of(Endpoint::Token), 2, "refused once, then with the new secret");
    assert_eq!(service.connection(&name("mail")).await.app_health(), AppHealth::Healthy);

    // An unreadable file changes nothing for the better or the worse.
    fs::remove_file(&file).unwrap();
    world.advance(HOURS);
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_client_secret_that_stays_wrong_is_the_apps_failure_and_is_not_repeated() {
    let world = World::new().await;
    let file = world.folder.path().join("client.secret");
    fs::write(&file, "expired").unwrap();
    let mut config = world.confidential("");
    config.provider.client_secret = Some(ClientSecret::File(file));
    let mut service = world.start_with(config).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    let status = service.connections.create_connection(import("mail", token)).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("PROVIDER_MISCONFIGURED"));
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    service.stop().await;
}

#[tokio::test]
async fn nango_4020_a_connection_without_offline_access_still_gets_its_refresh_token() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let scopes = vec!["https://graph.microsoft.com/Files.Read.All".to_owned()];
    let request = CreateConnectionRequest { scopes, ..import("mail", world.refresh_token()) };
    service.connections.create_connection(request).await.unwrap();
    for _ in 0..2 {
        world.advance(HOURS);
        service.token(ask("mail")).await.unwrap();
    }
    assert_eq!(world.sim.counters().refresh_token_reuse, 0);
    assert_eq!(service.connection(&name("mail")).await.state(), ConnectionState::Active);
    service.stop().await;
}

#[tokio::test]
async fn airbyte_83815_an_answer_without_expires_in_costs_no_refresh_at_every_call() {
    let body = br#"{"access_token":"a","refresh_token":"b","token_type":"Bearer"}"#.to_vec();
    let impostor = Impostor::answering("200 OK", "content-type: application/json\r\n", body).await;
    let world = World::new().await;
    let mut config = world.config();
    config.provider.authority = impostor.address.parse().unwrap();
    let mut service = world.start_with(config).await.unwrap();
    service.connections.create_connection(import("mail", "c".to_owned())).await.unwrap();
    for _ in 0..5 {
        service.token(ask("mail")).await.unwrap();
    }
    assert_eq!(impostor.requests(), 1);
    // Such a token is taken to live for five minutes.
    world.advance(Duration::from_mins(5));
    service.token(ask("mail")).await.unwrap();
    assert!(impostor.requests() > 1);
    service.stop().await;
}
